import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterAll, expect, test } from 'vitest';
import { IS_ALL } from '../../harness/available.js';
import { findingsOf } from '../../harness/checking.js';
import { killGroup, type Running, startCommand, trainyard } from '../../harness/command.js';
import { newRoot } from '../../harness/mounting.js';
import { serverUntil } from '../../harness/server.js';
import { contentOf } from '../contents.js';
import { ABSENT } from '../mixed-load.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from '../remains.js';
import { must, range } from './changes.js';
import { expectBeforeOrAfter, KILLS, report, roundsOf } from './rounds.js';
import { sha256 } from '../../harness/sha256.js';

const server = await serverUntil(afterAll, { 'blob-grace-seconds': 0, 'caption-grace-seconds': 0 });
const api = await server.api();
const remote = { TRAINYARD_URL: api.url, TRAINYARD_TOKEN: api.token };

/** One run of a command, and how to tell whether it was done. */
interface CommandRun {
  readonly args: readonly string[];
  /** Reads the state that it changes. */
  readonly read: () => Promise<unknown>;
  readonly after: unknown;
  /** `read` and `after` are objects; each field is as before or as after. */
  readonly isPerFile?: boolean;
}

type Files = Record<string, string>;

const NAMES = range(12).flatMap((i) => [`${i}.jpg`, `${i}.txt`]);

/** The files of a dataset, which has two states by turns, with sizes up to 100 KB. */
const stateOf = (round: number) =>
  NAMES.map((name, i) => [name, contentOf(name, `${name} ${round % 2}`, (i % 5) * 25_000)] as const);

const hashesOf = (files: ReturnType<typeof stateOf>): Files =>
  Object.fromEntries(files.map(([name, bytes]) => [name, sha256(bytes)]));

async function upload(id: string, round: number): Promise<Files> {
  for (const [name, bytes] of stateOf(round)) must(await api.upload(id, name, bytes));
  return hashesOf(stateOf(round));
}

/** The files that a folder shows. */
async function filesIn(folder: string): Promise<Files> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
  const hashes = names.map(async (name) => [name, sha256(await readFile(join(folder, name)))]);
  return Object.fromEntries(await Promise.all(hashes));
}

/**
 * The files of the catalog of a data folder, and the SHA-256 of their bytes. A catalog without files is one that an
 * interrupted copy left: a server rejects it beside blobs.
 */
async function storedIn(dataFolder: string): Promise<Files | string> {
  if (!existsSync(join(dataFolder, 'catalog.sqlite'))) return ABSENT;
  const db = new DatabaseSync(join(dataFolder, 'catalog.sqlite'), { readOnly: true });
  // A catalog has no tables before the first migration.
  const hasFiles = db.prepare(`select 1 from sqlite_schema where name = 'file'`).get() !== undefined;
  const rows = hasFiles ? db.prepare(`select dataset_id, id, filename from file where state = 'stored'`).all() : [];
  db.close();
  const hashes = (rows as { dataset_id: string; id: string; filename: string }[]).map(async (row) => {
    const bytes = await readFile(join(dataFolder, 'blobs', row.id.slice(0, 2), row.id)).catch(() => undefined);
    return [`${row.dataset_id}/${row.filename}`, bytes === undefined ? 'lost' : sha256(bytes)];
  });
  return rows.length === 0 ? ABSENT : Object.fromEntries(await Promise.all(hashes));
}

/** A command that copies a backup to a data folder. */
const ofBackup = (argsOf: (from: string, to: string) => string[]) => async (folder: string) => {
  await upload(await api.newDataset(), 0);
  const from = join(folder, 'backup');
  expect((await trainyard(['backup', from, '--data', server.dataFolder])).code).toBe(0);
  const after = await storedIn(from);
  return async (round: number): Promise<CommandRun> => {
    const to = join(folder, `copy-${round}`);
    return { args: argsOf(from, to), read: () => storedIn(to), after };
  };
};

/** Prepares in a folder of its own, and returns the run of each round. */
const COMMANDS: Record<string, (folder: string) => Promise<(round: number) => Promise<CommandRun>>> = {
  backup: async (folder) => {
    const id = await api.newDataset();
    return async (round) => {
      await upload(id, round);
      const args = ['backup', folder, '--data', server.dataFolder];
      return { args, read: () => storedIn(folder), after: await storedIn(server.dataFolder) };
    };
  },
  restore: ofBackup((from, to) => ['restore', from, '--data', to]),
  'migrate-data': ofBackup((from, to) => ['migrate-data', '--from', from, '--to', to]),
  pull: async (folder) => {
    const id = await api.newDataset('pulled');
    return async (round) => {
      const after = await upload(id, round);
      return { args: ['pull', 'pulled', folder], read: () => filesIn(folder), after, isPerFile: true };
    };
  },
  push: async (folder) => {
    const id = await api.newDataset('pushed');
    const read = async () => {
      const { files } = (await api.status(id)).body;
      return Object.fromEntries(files.map((file) => [file.filename, file.sha256]));
    };
    return async (round) => {
      await mkdir(folder, { recursive: true });
      for (const [name, bytes] of stateOf(round)) await writeFile(join(folder, name), bytes);
      const args = ['push', folder, '--name', 'pushed'];
      return { args, read, after: hashesOf(stateOf(round)), isPerFile: true };
    };
  },
};

const begin = ({ args }: CommandRun): Running => startCommand(args, { env: remote, detached: true });

async function expectDone(run: CommandRun): Promise<void> {
  const { code, stderr } = await begin(run).ended;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(await run.read()).toEqual(run.after);
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

for (const [name, prepare] of Object.entries(COMMANDS)) {
  const options = { tags: ['backup', 'push'].includes(name) ? [] : ['long'], timeout: 600_000 + KILLS * 60_000 };
  const title = `trainyard ${name} that is killed at any moment has done its work, or none of it, and continues`;
  test(title, options, async () => {
    const begins = await prepare(join(await newRoot(), name));
    const usual = await begins(0);
    const usualMs = await msOf(() => expectDone(usual));
    // Until then a command has only loaded its program.
    const startMs = await msOf(() => trainyard(['--version']));
    const counts = { done: 0, ended: 0, interrupted: 0 };
    for (const { number, signal, part } of roundsOf().slice(0, name === 'push' && !IS_ALL ? 1 : undefined)) {
      const run = await begins(number);
      const before = await run.read();
      const running = begin(run);
      await wait(startMs + part * Math.max(0, usualMs - startMs));
      if (signal === 'SIGKILL') await killGroup(running);
      else running.process.kill(signal);
      const isDone = (await running.ended).code === 0;
      const found = await run.read();
      if (isDone) expect(found).toEqual(run.after);
      else expectBeforeOrAfter({ ...run, before, found });
      counts[isDone ? 'done' : signal === 'SIGTERM' ? 'ended' : 'interrupted']++;
      // A folder is restored once. A pull and a push that were killed at the very end have not saved what is in common.
      if (run.isPerFile || !isDeepStrictEqual(found, run.after)) await expectDone(run);
      // A job stages thumbnails meanwhile.
      await expect.poll(() => ({ ...remainsIn(server.dataFolder), trash: [] })).toEqual(NOTHING_REMAINS);
    }
    expect([faultsOf(server), await findingsOf(server)]).toEqual([[], []]);
    report(name, usualMs, counts);
  });
}
