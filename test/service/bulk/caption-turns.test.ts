import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { inspect } from '../../../src/dataset/inspect/inspect.js';
import { CaptionWrites } from '../../../src/service/bulk.js';
import type { Inspector, ServiceDependencies } from '../../../src/service/dependencies.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { Trash } from '../../../src/storage/catalog/trash.js';
import { laptop } from '../../harness/author.js';
import { catalogs, openDisk } from '../../harness/backends.js';
import { Gate } from '../../harness/paused-database.js';
import { eventually } from '../../harness/server.js';

const WRITES_AT_ONCE = 64;
const REQUESTS = 10;
const captions = Array.from({ length: 20 }, (_, i) => ({ filename: `${i}.txt`, text: `train ${i}` }));

test('of many requests, 64 captions are stored at a time, of one account after the other', async () => {
  const { accountId: many, accounts, database } = await catalogs[0]!.open();
  const { blobs } = await openDisk();
  const other = (await accounts.grantOf((await accounts.createToken('other', 1)).token))!.accountId;
  const held = new Gate();
  const begun: string[] = [];
  const inspectHeld: Inspector = async (file, { accountId }) => {
    begun.push(accountId);
    await held.opened;
    if (!('path' in file)) throw new Error('The bytes are not in a local file.');
    return inspect(file);
  };
  const newId = () => randomUUID().replaceAll('-', '');
  let trashed = 0;
  class ObservedTrash extends Trash {
    override async add(...args: Parameters<Trash['add']>) {
      await super.add(...args);
      trashed++;
    }
  }
  const catalog = Object.assign(new Catalog(database, { blobGrace: 0 }), { trash: new ObservedTrash(database) });
  const dependencies = { catalog, blobs, inspect: inspectHeld, newId, now: () => 1_000_000 };
  const writes = new CaptionWrites(dependencies as unknown as ServiceDependencies);
  const save = async (accountId: string) => {
    const key = { accountId, id: newId() };
    await catalog.createDataset({ ...key, name: key.id, createdAt: 1 });
    return writes.save(key, captions, { author: laptop, signal: new AbortController().signal });
  };
  const saved = Array.from({ length: REQUESTS }, () => save(many));
  await eventually(async () => (begun.length >= WRITES_AT_ONCE && trashed === REQUESTS ? true : undefined));
  saved.push(save(other));
  await eventually(async () => (trashed > REQUESTS ? true : undefined));
  held.open();
  for (const each of await Promise.all(saved)) {
    expect(each.captions.map(({ outcome }) => outcome)).toEqual(captions.map(() => 'saved'));
  }
  expect(begun.slice(0, WRITES_AT_ONCE)).not.toContain(other);
  expect(begun.indexOf(other)).toBeLessThan(2 * WRITES_AT_ONCE);
});
