import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Author, StoredFile } from '../../../../src/dataset/dataset.js';
import type { VersionedFile } from '../../../../src/dataset/history/revisions.js';
import { remove, type StemGroup, store } from '../../../../src/dataset/upload-transitions.js';
import { recountUsage } from '../../../harness/recount-usage.js';
import type { Catalog } from '../../../../src/storage/catalog/catalog.js';
import { pruneHistory } from '../../../../src/storage/catalog/history/retention.js';
import { pastFileOf } from '../../../../src/storage/catalog/rows.js';
import { type Database, query } from '../../../../src/storage/database/database.js';
import { laptop } from '../../../harness/author.js';
import { onCatalogs } from '../../../harness/backends.js';
import { imageNamed } from '../../../harness/stored-image.js';

const NAMES = ['a.jpg', 'a.txt', 'b.txt', 'c.txt'];
const GRACE = 1000;
/** After the grace of everything. */
const LATER = 1e12;

let ids = 0;
const newId = () => `history-${String(++ids).padStart(6, '0')}`;

function stored(datasetId: string, filename: string, content: number, sizeBytes = content + 1): StoredFile {
  const sha256 = `${content}`.padStart(64, '0');
  const upload = { ...imageNamed(filename).upload, sizeBytes, sha256, blobVersion: 'etag', finalizedAt: 5 };
  const kind = filename.endsWith('.txt') ? 'caption' : 'image';
  return { id: newId(), datasetId, filename, kind, createdAt: 1, upload };
}

/** A dataset, and what tests read and change of its history. */
class Subject {
  readonly id: string;
  readonly database: Database;
  readonly #catalog: Catalog;

  constructor(opened: { catalog: Catalog; database: Database }, id: string) {
    this.id = id;
    this.database = opened.database;
    this.#catalog = opened.catalog;
  }

  /** Stores files in one change. */
  put(files: Record<string, number>, now: number, author: Author = laptop) {
    const made = Object.entries(files).map(([filename, content]) => stored(this.id, filename, content));
    return this.change(Object.keys(files), now, author, (group, stem) =>
      made
        .filter(({ filename }) => filename.startsWith(`${stem}.`))
        .reduce<StemGroup>((changed, file) => store(changed, file, undefined), group),
    );
  }

  remove(filename: string, now: number, author: Author = { ...laptop, how: 'delete' }) {
    return this.change([filename], now, author, (group) => remove(group, filename));
  }

  change(
    filenames: string[],
    now: number,
    author: Author,
    transition: (group: StemGroup, stem: string) => StemGroup | undefined,
  ) {
    return this.#catalog.change({ datasetId: this.id, filenames, now, isActivity: true, author }, transition);
  }

  restore(number: number, now: number) {
    return this.#catalog.restore({ datasetId: this.id, number, author: { ...laptop, how: 'restore' }, now });
  }

  /** The files of a revision, the stored ones included. */
  async filesOf(number: number): Promise<VersionedFile[]> {
    const past = await this.past();
    const present = (await this.#catalog.files(this.id)) as StoredFile[];
    const all = [...past.map(pastFileOf), ...present.map((file) => ({ ...file, removedIn: Number.MAX_SAFE_INTEGER }))];
    return all.filter(({ upload, removedIn }) => upload.addedIn! <= number && number < removedIn!);
  }

  /** The content of each file of a revision, by name. */
  async contentsOf(number: number): Promise<Record<string, number>> {
    const files = await this.filesOf(number);
    expect(new Set(files.map(({ filename }) => filename)).size).toBe(files.length);
    return Object.fromEntries(files.map(({ filename, upload }) => [filename, Number(upload.sha256)]));
  }

  revisions() {
    const select = query.selectFrom('revision').selectAll().where('dataset_id', '=', this.id);
    return this.database.run(select.orderBy('number'));
  }

  past() {
    return this.database.run(query.selectFrom('past_file').selectAll().where('dataset_id', '=', this.id));
  }

  pin(number: number): Promise<boolean> {
    return this.#catalog.revisions.setPin(this.id, number, { at: 1, by: 'laptop', note: null });
  }
}

/** Compares what is read of each kept revision, and of each two of them, with all files. */
async function expectReadable({ revisions }: Catalog, subject: Subject): Promise<void> {
  const keyOf = ({ id, upload }: StoredFile) => `${id} ${upload.addedIn}`;
  const keysOf = (files: readonly StoredFile[]) => files.map(keyOf).sort();
  const kept = (await subject.revisions()).map(({ number }) => number);
  const filesOf = new Map<number, VersionedFile[]>([[0, []]]);
  for (const number of kept) {
    filesOf.set(number, await subject.filesOf(number));
    const found = await revisions.files({ datasetId: subject.id, number, filenames: NAMES.slice(1) });
    const named = filesOf.get(number)!.filter(({ filename }) => filename !== NAMES[0]);
    expect(keysOf(found)).toEqual(keysOf(named));
  }
  for (const [from, before] of filesOf) {
    for (const [to, after] of filesOf) {
      if (from > to || to === 0) continue;
      const { kept: found, files } = await revisions.versions({ datasetId: subject.id, from, to });
      expect(found).toEqual(new Set([from, to].filter((number) => number > 0)));
      const both = [...keysOf(before), ...keysOf(after)];
      const inOne = both.filter((key, _, all) => all.indexOf(key) === all.lastIndexOf(key));
      expect(keysOf(files)).toEqual(from === to ? keysOf(after) : inOne.sort());
    }
  }
}

const keeping = (lifetime: number) => ({ lifetime, maxBytes: 1e12, blobGrace: GRACE });

onCatalogs((open) => {
  const newSubject = async () => {
    const opened = await open();
    const id = newId();
    await opened.catalog.createDataset({ id, accountId: opened.accountId, name: id, createdAt: 1 });
    return { ...opened, subject: new Subject(opened, id), key: { accountId: opened.accountId, id } };
  };
  const historyBytes = async (database: Database) =>
    (await database.run(query.selectFrom('account').select('history_bytes')))[0]!.history_bytes;
  const trashIn = async (database: Database) =>
    (await database.run(query.selectFrom('trash').select('blob_key'))).map(({ blob_key }) => blob_key);

  describe('retention', () => {
    const numbersOf = async (subject: Subject) => (await subject.revisions()).map(({ number }) => number);
    const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

    test('keeps the last 20 revisions, those of the last days and those that are pinned', async () => {
      const { subject, catalog, database } = await newSubject();
      for (const number of upTo(26)) await subject.put({ 'a.txt': number }, number * 100);
      await subject.pin(2);
      await pruneHistory(database, { ...keeping(1000), now: 1399 });
      // A download that has begun still reads the bytes of 1 and 3.
      expect(await catalog.trash.due(1399 + GRACE - 1)).toEqual([]);
      expect(await numbersOf(subject)).toEqual([2, ...upTo(26, 4)]);
      await pruneHistory(database, { ...keeping(1000), now: LATER });
      expect(await numbersOf(subject)).toEqual([2, ...upTo(26, 7)]);
      // Without the files of 6, the changes of 7 are not known.
      expect(await catalog.undo({ datasetId: subject.id, number: 7, author: laptop, now: LATER })).toBeUndefined();
      expect(await Promise.all([2, 7].map((number) => subject.contentsOf(number)))).toEqual([
        ...[{ 'a.txt': 2 }, { 'a.txt': 7 }],
      ]);
      const past = await subject.past();
      expect([past.length, (await trashIn(database)).length]).toEqual([20, 5]);
      expect(pastFileOf(past[0]!).upload).toMatchObject({ blobVersion: 'etag', finalizedAt: 5 });
      expect(await historyBytes(database)).toBe([2, ...upTo(25, 7)].reduce((sum, content) => sum + content + 1, 0));
    });

    test('deletes the oldest revisions of an account whose history has too many bytes, and none that is pinned', async () => {
      const { subject, database } = await newSubject();
      for (const number of upTo(6)) await subject.put({ 'a.txt': number }, number * 100);
      await subject.pin(1);
      await pruneHistory(database, { ...keeping(1e9), maxBytes: 2 + 5 + 6, now: 600 });
      expect(await numbersOf(subject)).toEqual([1, 4, 5, 6]);
      expect(await historyBytes(database)).toBe(2 + 5 + 6);
      await pruneHistory(database, { ...keeping(1e9), maxBytes: 0, now: 700 });
      expect(await numbersOf(subject)).toEqual([1, 6]);
      for (const number of upTo(8, 7)) await subject.put({ 'a.txt': number }, number * 100);
      // The second read finds 6 and 7, which is pinned then.
      let reads = 0;
      const read: Database['read'] = (...args) => database.read(...args).finally(() => ++reads === 2 && subject.pin(7));
      await pruneHistory({ ...database, read }, { ...keeping(0), now: LATER });
      expect(await numbersOf(subject)).toEqual([1, 7, 8]);
      // No change joins a pinned revision.
      await subject.pin(8);
      expect((await subject.put({ 'b.txt': 1 }, 801))?.revision).toBe(9);
    });
  });

  const step = fc.record({
    action: fc.constantFrom('put', 'put', 'put', 'remove', 'restore', 'expire', 'pin'),
    filename: fc.constantFrom(...NAMES),
    content: fc.nat({ max: 3 }),
    token: fc.constantFrom('a1', 'b2'),
    number: fc.nat({ max: 8 }),
    pause: fc.constantFrom(1, 700_000_000),
    lifetime: fc.constantFrom(0, 500_000_000),
  });

  test('any sequence of changes: each kept revision has its files, no blob of theirs is in the trash, and all others are', async () => {
    const { catalog, accountId, database } = await open();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 30 }), async (steps) => {
        await database.run(query.deleteFrom('dataset'));
        await database.run(query.deleteFrom('trash'));
        const none = { datasets: 0, files: 0, bytes: 0, history_bytes: 0 };
        await database.run(query.updateTable('account').set(none));
        const id = newId();
        await catalog.createDataset({ id, accountId, name: id, createdAt: 1 });
        const subject = new Subject({ catalog, database }, id);
        /** The contents after each change, by the number of its revision. */
        const model = new Map<number, Record<string, number>>();
        const everyId = new Set<string>();
        let [now, latest] = [1000, 0];
        for (const { action, filename, content, token, number, pause, lifetime } of steps) {
          now += pause;
          const author = { ...laptop, tokenId: token };
          const before = model.get(latest) ?? {};
          const next = { ...before };
          let changed: { revision: number } | undefined;
          if (action === 'put') {
            changed = await subject.put({ [filename]: content }, now, author);
            next[filename] = content;
          } else if (action === 'remove') {
            changed = await subject.remove(filename, now, { ...author, how: 'delete' });
            delete next[filename];
          } else if (action === 'restore') {
            changed = await subject.restore(number, now);
            if (changed !== undefined) {
              for (const name of NAMES) delete next[name];
              Object.assign(next, model.get(number));
            }
          } else if (action === 'pin') await subject.pin(number);
          else await pruneHistory(database, { ...keeping(lifetime), now });
          latest = changed?.revision ?? latest;
          if (latest > 0) model.set(latest, next);
          const files = [...(await subject.past()), ...(await catalog.files(id))];
          for (const file of files) everyId.add(file.id);
          const named = new Set(files.map((file) => `${id}/${file.id}`));
          const trash = await trashIn(database);
          expect(trash.filter((key) => named.has(key))).toEqual([]);
          expect(trash.length + named.size).toBe(everyId.size);
          const kept = await subject.revisions();
          for (const revision of kept) {
            const contents = model.get(revision.number)!;
            expect(await subject.contentsOf(revision.number)).toEqual(contents);
            const sizes = Object.values(contents).map((each) => each + 1);
            expect(revision).toMatchObject({ files: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) });
          }
          const total = await historyBytes(database);
          await database.run(recountUsage());
          expect(await historyBytes(database)).toBe(total);
        }
        await expectReadable(catalog, subject);
      }),
      { numRuns: 8, seed: 1 },
    );
  });
});
