import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest';
import { findingsOf } from '../../harness/checking.js';
import { killGroup, type Running, startCommand, trainyard } from '../../harness/command.js';
import { newRoot } from '../../harness/mounting.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from '../remains.js';
import { COMMANDS, type CommandRun } from './commands.js';
import { expectBeforeOrAfter, KILLS, report, roundsOf, seed } from './rounds.js';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ 'blob-grace-seconds': 0, 'caption-grace-seconds': 0 });
});
beforeEach(() => onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`)));
afterAll(() => discardServer(server));

const begin = ({ args, env = {} }: CommandRun): Running => startCommand(args, { env, detached: true });

async function expectDone(run: CommandRun): Promise<void> {
  const { code, stderr } = await begin(run).ended;
  expect({ code, stderr }).toMatchObject({ code: run.code ?? 0 });
  expect(await run.read()).toEqual(run.after);
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

for (const [name, prepare] of Object.entries(COMMANDS)) {
  const options = { tags: ['backup', 'push'].includes(name) ? [] : ['long'], timeout: 600_000 + KILLS * 60_000 };
  test(
    `trainyard ${name} that is killed at any moment has done its work, or none of it, and continues`,
    options,
    async () => {
      const begins = await prepare({ api: await server.api(), dataFolder: server.dataFolder, folder: await newRoot() });
      const usual = await begins(0);
      const usualMs = await msOf(() => expectDone(usual));
      // Until then a command has only loaded its program.
      const startMs = await msOf(() => trainyard(['--version']));
      const counts = { done: 0, ended: 0, interrupted: 0 };
      for (const { number, signal, part } of roundsOf()) {
        const run = await begins(number);
        const before = await run.read();
        const running = begin(run);
        await wait(startMs + part * Math.max(0, usualMs - startMs));
        if (signal === 'SIGKILL') await killGroup(running);
        else running.process.kill(signal);
        const ended = await running.ended;
        const found = await run.read();
        const isDone = ended.code === (run.code ?? 0);
        if (isDone) expect(found).toEqual(run.after);
        else expectBeforeOrAfter({ ...run, before, found });
        counts[isDone ? 'done' : signal === 'SIGTERM' ? 'ended' : 'interrupted']++;
        if (!run.isOnce || !isDeepStrictEqual(found, run.after)) await expectDone(run);
        expect(remainsIn(server.dataFolder)).toEqual({ ...NOTHING_REMAINS, trash: expect.anything() });
      }
      expect(faultsOf(server)).toEqual([]);
      expect(await findingsOf(server)).toEqual([]);
      report(name, usualMs, counts);
    },
  );
}
