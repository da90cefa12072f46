import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { BASE_PATH } from '../../../src/api/base-path.js';
import { ApiDocument } from '../../fuzz/document.js';
import { Api } from '../../harness/api.js';
import { findingsOf } from '../../harness/checking.js';
import { discardServer, startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from '../remains.js';
import { ACCOUNT_CHANGES } from './account-changes.js';
import type { Attempt } from './change.js';
import { DATASET_CHANGES } from './dataset-changes.js';
import { expectBeforeOrAfter, KILLS, ofToday, report, roundsOf, seed } from './rounds.js';

const SETTINGS = { 'blob-grace-seconds': 0, 'caption-grace-seconds': 0, 'webhook-allow': '127.0.0.1' };
const CHANGES = { ...DATASET_CHANGES, ...ACCOUNT_CHANGES };

/** Operations that change nothing, though their method is not GET. */
const READS = ['POST /{id}/captions', 'POST /{id}/archive'];

let server: TestServer;
let token: string;
const apiOf = ({ url }: TestServer) => new Api(url, token);

beforeAll(async () => {
  server = await startServer(SETTINGS, { dataFolder: await temporaryFolder() });
  token = (await server.api()).token;
});
beforeEach(async () => {
  onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`));
  // The test before failed.
  if (server.process.exitCode !== null || server.process.signalCode !== null) await restart();
});
afterAll(() => discardServer(server));

async function restart(): Promise<void> {
  server = await startServer(SETTINGS, { dataFolder: server.dataFolder });
}

test('every operation that changes something is killed below', async () => {
  const { operations } = await ApiDocument.of(server.url);
  const changing = operations.filter(({ method }) => method !== 'GET').map(({ name }) => name.replace(BASE_PATH, ''));
  const killed = Object.values(CHANGES).flatMap((change) => change.operations);
  expect([...killed, ...READS].sort()).toEqual(changing.sort());
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

async function expectState(attempt: Attempt, outcome: Outcome, before: unknown): Promise<void> {
  const { read, after } = attempt;
  const found = await read(apiOf(server), outcome.kind === 'acknowledged' ? outcome.body : undefined);
  if (outcome.kind === 'acknowledged') expect(found).toEqual(after);
  else if (outcome.kind === 'rejected') expect(found).toEqual(before);
  else expectBeforeOrAfter({ ...attempt, found, before });
}

describe('after a kill at any moment, what was acknowledged is there, and all else as before or as after:', () => {
  test.each(ofToday(CHANGES))(
    '%s',
    async (name, { prepare }) => {
      const begin = await prepare(apiOf(server));
      const counts = { acknowledged: 0, rejected: 0, unanswered: 0 };
      const usual = await begin(apiOf(server), 0);
      const startedAt = performance.now();
      const first = await Promise.all(usual.map(outcomeOf));
      const usualMs = performance.now() - startedAt;
      for (const [i, attempt] of usual.entries()) {
        expect(first[i]).toMatchObject({ kind: 'acknowledged' });
        await expectState(attempt, first[i]!, undefined);
      }
      for (const { number, signal, part } of roundsOf()) {
        const attempts = await begin(apiOf(server), number);
        const before = await Promise.all(attempts.map(({ read }) => read(apiOf(server))));
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
          await expectState(attempt, outcomes[j]!, before[j]);
          counts[outcomes[j]!.kind]++;
        }
        // Captions that were being saved stay in the trash for as long as that may take.
        expect({ ...remainsIn(server.dataFolder), trash: [] }).toEqual(NOTHING_REMAINS);
      }
      report(name, usualMs, counts);
    },
    600_000 + KILLS * 60_000,
  );
});

test('check-store finds nothing after all of these kills', async () => {
  expect(await findingsOf(server)).toEqual([]);
});
