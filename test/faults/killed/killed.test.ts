import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Api } from '../../harness/api.js';
import { findingsOf } from '../../harness/checking.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';
import { faultsOf } from '../remains.js';
import { type Attempt, type Change, CHANGES } from './changes.js';
import { expectBeforeOrAfter, KILLS, report, roundsOf } from './rounds.js';
import { expectNothingRemains, LEASES } from './unhealed.js';

const SETTINGS = { 'blob-grace-seconds': 0, 'caption-grace-seconds': 0, ...LEASES };

/** All kinds at once, so that few kills meet many changes. */
const TOGETHER: Change = async (first) => {
  const begins = await Promise.all(Object.values(CHANGES).map((prepare) => prepare(first)));
  return async (api, round) => (await Promise.all(begins.map((begin) => begin(api, round)))).flat();
};

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
  // The test before failed.
  if (server.process.exitCode !== null || server.process.signalCode !== null) await restart();
});
afterAll(() => discardServer(server));

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

/** @param before what the attempt read before */
async function expectState({ read, ...attempt }: Attempt, outcome: Outcome, before?: unknown): Promise<void> {
  const found = await read(api(), outcome.kind === 'acknowledged' ? outcome.body : undefined);
  if (outcome.kind === 'acknowledged') expect(found).toEqual(attempt.after);
  else if (outcome.kind === 'rejected') expect(found).toEqual(before);
  else expectBeforeOrAfter({ ...attempt, found, before });
}

describe('after a kill at any moment, what was acknowledged is there, and all else as before or as after:', () => {
  for (const [name, prepare] of Object.entries({ 'changes of every kind': TOGETHER, ...CHANGES })) {
    const options = { tags: prepare === TOGETHER ? [] : ['long'], timeout: 600_000 + KILLS * 60_000 };
    test(name, options, async () => {
      const begin = await prepare(api());
      const counts = { acknowledged: 0, rejected: 0, unanswered: 0 };
      const usual = await begin(api(), 0);
      const startedAt = performance.now();
      const first = await Promise.all(usual.map(outcomeOf));
      const usualMs = performance.now() - startedAt;
      for (const [i, attempt] of usual.entries()) {
        expect(first[i]).toMatchObject({ kind: 'acknowledged' });
        await expectState(attempt, first[i]!);
      }
      for (const { number, signal, part } of roundsOf(prepare === TOGETHER ? KILLS + 1 : KILLS)) {
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
          await expectState(attempt, outcomes[j]!, before[j]);
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
