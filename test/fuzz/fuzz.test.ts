import { expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { ROUTES } from '../../src/api/routes.js';
import { IS_ALL } from '../harness/available.js';
import { sharedServer } from '../harness/shared-server.js';
import { ApiDocument } from './document.js';
import { fuzzRequests, tryEachOperation } from './fuzz-requests.js';
import { fuzzSequences } from './fuzz-sequences.js';

/** With `npm run fuzz`, other seeds and more cases run. */
const SEED = 20_261_126;
const REQUESTS = IS_ALL ? 2000 : 125;

const server = await sharedServer();

test('the OpenAPI document has every route of the contract', async () => {
  const routes = Object.values(ROUTES).map(({ at, ...row }) => {
    const [method, path = ''] = at.split(' ');
    const isBelowBase = !('access' in row && row.access === 'anyone') && !('link' in row && row.link === 'upload');
    return `${method} ${isBelowBase ? BASE_PATH : ''}${path.replaceAll(/:(\w+)/g, '{$1}')}`;
  });
  const { operations } = await ApiDocument.of(server.url);
  expect(operations.map(({ name }) => name).sort()).toEqual(routes.sort());
});

/** They need a model server, a cookie, or datasets of other roles: other tests have them. */
const NEEDS_MORE = /caption-(plan|runs|endpoints)|\/session$|\/links$/;

test('every operation answers valid requests as the OpenAPI document says', async () => {
  const { faults, unsuccessful } = await tryEachOperation(SEED);
  expect(faults).toEqual([]);
  expect(unsuccessful.filter((name) => !NEEDS_MORE.test(name))).toEqual([]);
});

test('random requests are answered as the OpenAPI document says', async () => {
  const { failure, sent } = await fuzzRequests({ seed: SEED, count: REQUESTS });
  expect(failure, `seed ${SEED}`).toBeUndefined();
  expect(sent).toBeGreaterThan(0.95 * REQUESTS);
});

test('datasets that change in random order agree with a model', async () => {
  expect(await fuzzSequences({ seed: SEED, count: 25 }), `seed ${SEED}`).toBeUndefined();
});
