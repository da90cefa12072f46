import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { BASE_PATH } from '../../../src/api/limits.js';
import { ApiDocument } from '../../fuzz/document.js';
import { Api } from '../../harness/api.js';
import { findingsOf } from '../../harness/checking.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';
import { faultsOf } from '../remains.js';
import { ACCOUNT_CHANGES } from './account-changes.js';
import type { Attempt } from './change.js';
import { DATASET_CHANGES } from './dataset-changes.js';
import { expectBeforeOrAfter, KILLS, report, roundsOf, seed } from './rounds.js';
import { expectNothingRemains, LEASES } from './unhealed.js';

const SETTINGS = { 'blob-grace-seconds': 0, 'caption-grace-seconds': 0, 'webhook-allow': '127.0.0.1', ...LEASES };
const CHANGES = { ...DATASET_CHANGES, ...ACCOUNT_CHANGES };

/** Operations that change nothing, though their method is not GET. */
const READS = ['POST /{id}/captions', 'POST /{id}/caption-plan', 'POST /{id}/archive', 'POST /{id}/zip'];

/** They ask a model server: `captioning.test.ts` has them. */
const OF_RUNS = ['', '/{run_id}/stop', '/{run_id}/resume'].map((path) => `POST /{id}/caption-runs${path}`);
const OF_MODELS = ['POST /caption-endpoints/{endpoint}/test', 'POST /{id}/caption-proposals', ...OF_RUNS];

let server: TestServer;
let token: string;
const api = () => new Api(server.url, token);
const restart = async () => {
  server = await startServer(SETTINGS, { dataFolder: server.dataFolder });
};

beforeAll(async () => {
  server = await startServer(SETTINGS);
  token = (await server.api()).token;
});
beforeEach(async () => {
  onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`));
  // The test before failed.
  if (server.process.exitCode !== null || server.process.signalCode !== null) await restart();
});
afterAll(() => discardServer(server));

test('every operation that changes something is killed below', async () => {
  const { operations } = await ApiDocument.of(server.url);
  const changing = operations.filter(({ method }) => method !== 'GET').map(({ name }) => name.replace(BASE_PATH, ''));
  const killed = Object.values(CHANGES).flatMap((change) => change.operations);
  expect([...killed, ...READS, ...OF_MODELS].sort()).toEqual(changing.sort());
});

/** The answer of an attempt: a body where it was acknowledged, otherwise whether it was rejected. */
type Outcome = { kind: 'acknowledged'; body: unknown } | { kind: 'rejected'; status: number } | { kind: 'unanswered' };

async function outcomeOf({ act }: Attempt): Promise<Outcome> {
  try {
    const { status, body } = await act();
    return status === 200 ? { kind: 'acknowledged', body } : { kind: 'rejected', status };
  } catch (error) {
    // `fetch` fails with TypeErrors.
    if (error instanceof TypeError) return { kind: 'unanswered' };
    throw error;
  }
}

/** What one change has become. */
interface Ended {
  readonly attempt: Attempt;
  readonly outcome: Outcome;
  /** What it read before. */
  readonly before?: unknown;
}

async function expectState(api: Api, { attempt, outcome, before }: Ended): Promise<void> {
  const { read, after } = attempt;
  const found = await read(api, outcome.kind === 'acknowledged' ? outcome.body : undefined);
  if (outcome.kind === 'acknowledged') expect(found).toEqual(after);
  else if (outcome.kind === 'rejected') expect(found).toEqual(before);
  else expectBeforeOrAfter({ ...attempt, found, before });
}

/** One of each kind; the others are made in the same transactions. */
const IN_SHORT =
  /^(an upload through a link|a bulk change|the deletion of a dataset|the restore|the revocation of a token)/;

describe('after a kill at any moment, what was acknowledged is there, and all else as before or as after:', () => {
  for (const [name, { prepare }] of Object.entries(CHANGES)) {
    const options = { tags: IN_SHORT.test(name) ? [] : ['long'], timeout: 600_000 + KILLS * 60_000 };
    test(name, options, async () => {
      const begin = await prepare(api());
      const counts = { acknowledged: 0, rejected: 0, unanswered: 0 };
      const usual = await begin(api(), 0);
      const startedAt = performance.now();
      const first = await Promise.all(usual.map(outcomeOf));
      const usualMs = performance.now() - startedAt;
      for (const [i, attempt] of usual.entries()) {
        expect(first[i]).toMatchObject({ kind: 'acknowledged' });
        await expectState(api(), { attempt, outcome: first[i]! });
      }
      for (const { number, signal, part } of roundsOf()) {
        const attempts = await begin(api(), number);
        const before = await Promise.all(attempts.map(({ read }) => read(api())));
        const working = Promise.all(attempts.map(outcomeOf));
        await wait(part * usualMs);
        expect(await server.stop(signal)).toBe(signal === 'SIGKILL' ? null : 0);
        const outcomes = await working;
        expect(faultsOf(server)).toEqual([]);
        const isAllowed = (outcome: Outcome) =>
          outcome.kind !== 'rejected' || (signal === 'SIGTERM' && outcome.status === 503);
        expect(outcomes.filter((outcome) => !isAllowed(outcome))).toEqual([]);

        await restart();
        for (const [j, attempt] of attempts.entries()) {
          await expectState(api(), { attempt, outcome: outcomes[j]!, before: before[j] });
          counts[outcomes[j]!.kind]++;
        }
        await expectNothingRemains(server);
      }
      report(name, usualMs, counts);
    });
  }
});

test('verify --store finds nothing after all of these kills', async () => {
  expect(await findingsOf(server)).toEqual([]);
});
