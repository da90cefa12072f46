import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { temporaryFolder } from '../../harness/server.js';

const SOURCE = new URL('../../../src/storage/database/sqlite.ts', import.meta.url).href;

const OPEN = `
  import { openSqlite } from '${SOURCE}';
  const database = await openSqlite(process.argv[1]);
  const { query } = database;
  const add = (name) => database.transact({ isDurable: true }, ({ commit }) =>
    commit([name, name + ' too'].map((each) => query.insertInto('setting').values({ name: each, value: 'new' }))));
`;

/** Adds rows for ever, in transactions of eight at a time, and prints the name of each row that was acknowledged. */
const ADD_FOREVER = `${OPEN}
  let last = 0;
  const loop = async () => {
    for (;;) {
      const name = String(last++);
      await add(name);
      console.log(name);
    }
  };
  await Promise.all(Array.from({ length: 8 }, loop));
`;

async function pathForTest(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, 'catalog.sqlite');
}

function run(script: string, path: string): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('a kill during group commits loses nothing that was acknowledged, and leaves no half of a transaction', async () => {
  const path = await pathForTest();
  const acknowledged: string[] = [];
  for (let kills = 1; kills <= 4; kills++) {
    const child = run(ADD_FOREVER.replace('last = 0', `last = ${kills * 100_000}`), path);
    let printed = 0;
    for await (const name of createInterface({ input: child.stdout! })) {
      acknowledged.push(name);
      if (++printed === 100 * kills) child.kill('SIGKILL');
    }
  }
  const database = await openSqlite(path);
  onTestFinished(() => database.close());
  const rows = await database.query.selectFrom('setting').select('name').where('value', '=', 'new').execute();
  const stored = new Set(rows.map(({ name }) => name));
  expect(acknowledged.length).toBeGreaterThanOrEqual(1000);
  expect(acknowledged.filter((name) => !stored.has(name))).toEqual([]);
  expect([...stored].filter((name) => !name.endsWith(' too') && !stored.has(`${name} too`))).toEqual([]);
});

test('a process ends by itself when its database is closed, which then is one file', async () => {
  const path = await pathForTest();
  const child = run(
    `${OPEN} await add('a'); await query.selectFrom('setting').selectAll().execute(); await database.close();`,
    path,
  );
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(existsSync(`${path}-wal`)).toBe(false);
});

test('a process ends by itself when its database is not closed', async () => {
  const child = run(
    `${OPEN} await add('a'); await query.selectFrom('setting').selectAll().execute();`,
    await pathForTest(),
  );
  expect(await once(child, 'exit')).toEqual([0, null]);
});
