import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { type Database, isUniqueViolation, query } from '../../../src/storage/database/database.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { newRoot } from '../../harness/mounting.js';

/** An empty database. While `held`, its write lock is another connection's, so that transactions wait. */
async function setUp() {
  const path = await pathForTest();
  const database = await openSqlite(path);
  const other = new DatabaseSync(path);
  onTestFinished(async () => {
    other.close();
    await database.close();
  });
  const holdLock = () => other.exec('begin immediate');
  const releaseLock = () => other.exec('rollback');
  return { path, database, holdLock, releaseLock };
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `${String(i).padStart(3, '0')}`);

function insert(name: string) {
  return query.insertInto('setting').values({ name, value: 'new' });
}

function add(database: Database, name: string, { isDurable = true } = {}) {
  return database.transact({ isDurable }, ({ commit }) => commit([insert(name)]));
}

async function stored({ run }: Database): Promise<string[]> {
  const rows = await run(query.selectFrom('setting').select('name').where('value', '=', 'new').orderBy('name'));
  return rows.map(({ name }) => name);
}

/** The frames of the write-ahead log that end a commit (https://sqlite.org/fileformat2.html#walformat). */
function commitsIn(path: string): number {
  const log = readFileSync(`${path}-wal`);
  const pageBytes = log.readUInt32BE(8);
  let commits = 0;
  for (let at = 32; at < log.length; at += 24 + pageBytes) if (log.readUInt32BE(at + 4) > 0) commits++;
  return commits;
}

test('transactions that wait share commits, first in, first out', async () => {
  const { path, database, holdLock, releaseLock } = await setUp();
  await add(database, 'first');
  const before = commitsIn(path);
  holdLock();
  const answered: string[] = [];
  const adding = names(50).map((name) => add(database, name).then(() => answered.push(name)));
  releaseLock();
  await Promise.all(adding);
  expect(answered).toEqual(names(50));
  expect(await stored(database)).toEqual([...names(50), 'first']);
  expect(commitsIn(path) - before).toBe(2);
});

test('a transaction locks out other processes before it reads, and a durable one shares no commit with one that is not', async () => {
  const { path, database, holdLock } = await setUp();
  await add(database, 'first');
  const before = commitsIn(path);
  const { durable } = await database.transact({ isDurable: false }, async ({ send, commit }) => {
    await send([query.selectFrom('setting').selectAll()]);
    // No process may write between its read and its write.
    expect(holdLock).toThrow('locked');
    await send([insert('not durable')]);
    const durable = add(database, 'durable');
    return commit([]).then(() => ({ durable }));
  });
  await durable;
  expect(commitsIn(path) - before).toBe(2);
});

test('a transaction whose statement or work fails is rolled back alone', async () => {
  const { path, database, holdLock, releaseLock } = await setUp();
  await add(database, '001');
  const before = commitsIn(path);
  holdLock();
  const adding = names(4).map((name) =>
    database.transact({ isDurable: true }, ({ commit }) => commit([insert(`${name}a`), insert(name)])),
  );
  const giveUp = (name: string, after: () => Promise<unknown>) =>
    database.transact({ isDurable: true }, async ({ send }) => {
      await send([insert(name)]);
      return after();
    });
  const throwing = giveUp('thrown', () => Promise.reject(new Error('given up')));
  const returning = giveUp('returned', async () => 'nothing to do');
  const settled = Promise.allSettled([...adding, throwing, returning, add(database, 'last')]);
  releaseLock();
  const outcomes = await settled;
  expect(outcomes.map(({ status }) => status)).toEqual([
    ...['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
    ...['rejected', 'fulfilled', 'fulfilled'],
  ]);
  expect(isUniqueViolation((outcomes[1] as PromiseRejectedResult).reason)).toBe(true);
  expect((outcomes[4] as PromiseRejectedResult).reason).toEqual(new Error('given up'));
  expect(await stored(database)).toEqual(['000', '000a', '001', '002', '002a', '003', '003a', 'last']);
  expect(commitsIn(path) - before).toBe(1);
});

test('a commit that fails fails all transactions of its group, and later ones are committed', async () => {
  const { path, database, holdLock, releaseLock } = await setUp();
  holdLock();
  const adding = Promise.allSettled(names(5).map((name) => add(database, name)));
  const rolledBack = database.transact({ isDurable: true }, ({ send }) => send([insert('rolled back')]));
  const settled = Promise.allSettled([rolledBack]);
  renameSync(path, `${path}.moved`);
  releaseLock();
  const outcomes = [...(await adding), ...(await settled)];
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { code: 'unavailable', message: expect.stringContaining(`no longer at ${path}`) },
    });
  }
  renameSync(`${path}.moved`, path);
  await add(database, 'later');
  expect(await stored(database)).toEqual(['later']);
});

test('reads see what is committed, and all that was acknowledged, and wait for no writer', async () => {
  const { database, holdLock, releaseLock } = await setUp();
  await database.transact({ isDurable: true }, async ({ send, commit }) => {
    const [, inside] = await send([insert('open'), query.selectFrom('setting').select('name')]);
    expect(inside).toContainEqual({ name: 'open' });
    expect(await stored(database)).toEqual([]);
    await commit([]);
  });
  for (const name of names(100)) {
    await add(database, name, { isDurable: false });
    expect((await stored(database)).at(-2)).toBe(name);
  }
  holdLock();
  let isAdded = false;
  const adding = add(database, 'waits').then(() => {
    isAdded = true;
  });
  for (let i = 0; i < 20; i++) expect(await stored(database)).toHaveLength(101);
  expect(isAdded).toBe(false);
  releaseLock();
  await adding;
  expect(await stored(database)).toContain('waits');
});

test('a thread that ends fails what is in flight, and all that follows, with `unavailable`', async () => {
  const threads: Worker[] = [];
  const note = (worker: Worker) => threads.push(worker);
  process.on('worker', note);
  onTestFinished(() => void process.off('worker', note));
  const { database, holdLock, releaseLock } = await setUp();
  expect(await stored(database)).toEqual([]);
  expect(threads).toHaveLength(2);
  holdLock();
  const outcomes = Promise.allSettled(names(3).map((name) => add(database, name)));
  const ended = threads.map((thread) => thread.terminate());
  releaseLock();
  await Promise.all(ended);
  const later = await Promise.allSettled([add(database, 'later'), stored(database)]);
  for (const outcome of [...(await outcomes), ...later]) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
  }
});

const SOURCE = new URL('../../../src/storage/database/sqlite.ts', import.meta.url).href;

const OPEN = `
  import { query } from '${new URL('database.ts', SOURCE)}';
  import { openSqlite } from '${SOURCE}';
  const database = await openSqlite(process.argv[1]);
  const add = (name) => database.transact({ isDurable: true }, ({ commit }) =>
    commit([name, name + ' too'].map((each) => query.insertInto('setting').values({ name: each, value: 'new' }))));
`;

async function pathForTest(): Promise<string> {
  return join(await newRoot(), 'catalog.sqlite');
}

function run(script: string, path: string): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('a process ends by itself while a database is open; a closed one is one file', async () => {
  const path = await pathForTest();
  const child = run(
    `${OPEN} await add('a'); await database.close(); await openSqlite(process.argv[1] + '-other');`,
    path,
  );
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(existsSync(`${path}-wal`)).toBe(false);
});

test('closing succeeds while transactions arrive; those that come too late fail', async () => {
  const path = await pathForTest();
  const outcomes: Promise<string>[] = [];
  for (let round = 0; round < 20; round++) {
    const database = await openSqlite(path);
    const tryToAdd = (turn: number) =>
      outcomes.push(
        add(database, `${round}-${turn}`).then(
          () => 'stored',
          (error) => error.code ?? error.message,
        ),
      );
    const closing = database.close();
    for (let turn = 0; turn < 50; turn++) {
      tryToAdd(turn);
      await new Promise(setImmediate);
    }
    await closing;
    tryToAdd(50);
  }
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['stored', 'unavailable']));
});
