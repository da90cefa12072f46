import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { NO_LIMITS } from '../../../../src/storage/catalog/accounts/account-usage.js';
import { LongChanges } from '../../../../src/storage/catalog/long-changes/run-long-change.js';
import type { Database } from '../../../../src/storage/database/database.js';
import { catalogs } from '../../../harness/backends.js';
import { Gate } from '../../../harness/paused-database.js';

/** `MANY_ROWS`: from so many on, a dataset is changed in a thread of its own. */
const ROWS = 5000;

/** A dataset of many past files in SQLite. Its changes begin as others of a thread do, and end with the gate. */
async function openHeld() {
  const { catalog, accountId, database } = await catalogs[0]!.open();
  await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
  for (let from = 0; from < ROWS; from += 1000) {
    const rows = Array.from({ length: 1000 }, (_, i) => ({
      ...{ id: `f${from + i}`, dataset_id: 'd', filename: `${from + i}.txt`, kind: 'caption', created_at: 1 },
      ...{ settled_at: 1, size_bytes: 1, sha256: 'ab', content_type: 'text/plain', facts: '{}', warnings: '[]' },
      ...{ blob_version: null, problem: null, link_until: null, added_in: 1, removed_in: 2 },
    }));
    await database.query.insertInto('past_file').values(rows).execute();
  }
  const held = new Gate();
  let begun = 0;
  const besideWriter: Database['besideWriter'] = async () => {
    begun++;
    await held.opened;
    return undefined as never;
  };
  const options = { blobGrace: 0, captionGrace: 0, limits: NO_LIMITS, notification: () => [] };
  const changes = new LongChanges({ ...database, besideWriter }, options);
  const ended: string[] = [];
  const change = (account: string, signal?: AbortSignal) => {
    const subject = { key: { accountId: account, id: 'd' }, now: 2 };
    return changes.apply('eraseDataset', 'd', subject, { accountId: account, signal }).then(() => ended.push(account));
  };
  /** SQLite answers statements in their order, and a change waits for its turn after two of them. */
  const untilWaiting = async () => {
    for (let statements = 0; statements < 3; statements++) {
      await database.query.selectFrom('dataset').select('id').execute();
    }
    await turn();
    expect(begun).toBe(1);
  };
  return { change, ended, held, untilWaiting, begun: () => begun };
}

test('long changes with SQLite are applied one at a time, of one account after the other', async () => {
  const { change, ended, held, untilWaiting } = await openHeld();
  const changes = ['a', 'a', 'a', 'a', 'b', 'c', 'b'].map((account) => change(account));
  await untilWaiting();
  held.open();
  await Promise.all(changes);
  expect(ended.join('')).toBe('aabcaba');
});

test('a long change that still waits for others when its client goes is not applied; one that has begun goes on', async () => {
  const { change, ended, held, untilWaiting, begun } = await openHeld();
  const leaving = new AbortController();
  const changes = [change('a', leaving.signal), change('a', leaving.signal), change('b', leaving.signal), change('b')];
  const settled = Promise.allSettled(changes);
  await untilWaiting();
  leaving.abort(new Error('gone'));
  held.open();
  expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
  await expect(changes[1]).rejects.toThrow('gone');
  expect([ended.join(''), begun()]).toEqual(['ab', 2]);
});
