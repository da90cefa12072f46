import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Author, DatasetFile, StoredFile } from '../../../../src/dataset/dataset.js';
import type { PastFile } from '../../../../src/dataset/history/revisions.js';
import { remove, type StemGroup, store } from '../../../../src/dataset/upload-transitions.js';
import { blobKeyOf } from '../../../../src/storage/blobs/blobs.js';
import { recountUsage } from '../../../harness/recount-usage.js';
import type { Catalog } from '../../../../src/storage/catalog/catalog.js';
import { Retention } from '../../../../src/storage/catalog/history/retention.js';
import { pastFileOf } from '../../../../src/storage/catalog/history/revision-rows.js';
import type { Database } from '../../../../src/storage/database/database.js';
import { laptop } from '../../../harness/author.js';
import { catalogs, onEach } from '../../../harness/backends.js';

const NAMES = ['a.jpg', 'a.txt', 'b.txt', 'c.txt'];
const GRACE = 1000;
/** After the grace of everything. */
const LATER = 1e12;

let ids = 0;
const newId = () => `history-${String(++ids).padStart(6, '0')}`;

function stored(datasetId: string, filename: string, content: number, sizeBytes = content + 1): StoredFile {
  const facts = { kind: 'image', format: 'jpeg', width: 10, height: 20 } as const;
  const bytes = { sizeBytes, sha256: `${content}`.padStart(64, '0'), contentType: 'image/jpeg', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: 'etag', finalizedAt: 5 } as const;
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

  async restore(number: number, now: number) {
    const wanted = new Map((await this.filesOf(number)).map((file) => [file.filename, file]));
    const range = { from: number, to: number };
    const { readinessVersion } = await this.#catalog.revisions.range(this.id, range);
    const restore = { needs: number, restoredFrom: number, readinessVersion };
    const author: Author = { ...laptop, how: 'restore' };
    const filenames = [...wanted.keys()];
    const change = { datasetId: this.id, filenames, now, isActivity: true, author, isWholeDataset: true, restore };
    return this.#catalog.change(change, (group, stem) => {
      const next = [...wanted.values()].filter(({ filename }) => filename.startsWith(`${stem}.`));
      return next.map(({ removedIn: _, ...file }) => {
        const same = group.find(
          ({ filename, upload }) =>
            filename === file.filename && upload.state === 'stored' && upload.sha256 === file.upload.sha256,
        );
        return same ?? file;
      });
    });
  }

  /** The files of a revision, the stored ones included. */
  async filesOf(number: number): Promise<PastFile[]> {
    const { query } = this.database;
    const past = await query.selectFrom('past_file').selectAll().where('dataset_id', '=', this.id).execute();
    const present = (await this.#catalog.files(this.id)) as StoredFile[];
    const all = [...past.map(pastFileOf), ...present.map((file) => ({ ...file, removedIn: Number.MAX_SAFE_INTEGER }))];
    return all.filter(({ upload, removedIn }) => upload.addedIn! <= number && number < removedIn);
  }

  /** The content of each file of a revision, by name. */
  async contentsOf(number: number): Promise<Record<string, number>> {
    const files = await this.filesOf(number);
    expect(new Set(files.map(({ filename }) => filename)).size).toBe(files.length);
    return Object.fromEntries(files.map(({ filename, upload }) => [filename, Number(upload.sha256)]));
  }

  revisions() {
    const select = this.database.query.selectFrom('revision').selectAll().where('dataset_id', '=', this.id);
    return select.orderBy('number').execute();
  }

  past() {
    return this.database.query.selectFrom('past_file').selectAll().where('dataset_id', '=', this.id).execute();
  }

  async pin(number: number) {
    const pinned = { pinned_at: 1, pinned_by: 'laptop' };
    const update = this.database.query.updateTable('revision').set(pinned).where('dataset_id', '=', this.id);
    await update.where('number', '=', number).execute();
  }
}

/** Compares what is read of each kept revision, and of each two of them, with all files. */
async function expectReadable({ revisions }: Catalog, subject: Subject): Promise<void> {
  const keyOf = ({ id, upload }: StoredFile) => `${id} ${upload.addedIn}`;
  const keysOf = (files: readonly StoredFile[]) => files.map(keyOf).sort();
  const kept = (await subject.revisions()).map(({ number }) => number);
  const filesOf = new Map<number, PastFile[]>([[0, []]]);
  for (const number of kept) {
    filesOf.set(number, await subject.filesOf(number));
    const found = await revisions.files({ datasetId: subject.id, number, filenames: NAMES.slice(1) });
    const named = filesOf.get(number)!.filter(({ filename }) => filename !== NAMES[0]);
    expect(keysOf(found)).toEqual(keysOf(named));
  }
  for (const [from, before] of filesOf) {
    for (const [to, after] of filesOf) {
      if (from > to || to === 0) continue;
      const difference = await revisions.range(subject.id, { from, to, isDifference: true });
      expect(difference.revisions.map(({ number }) => number)).toEqual([...new Set([to, from])].filter((n) => n > 0));
      const both = [...keysOf(before), ...keysOf(after)];
      expect(keysOf(difference.files)).toEqual(
        both.filter((key, _, all) => all.indexOf(key) === all.lastIndexOf(key)).sort(),
      );
      const all = await revisions.range(subject.id, { from, to });
      expect(keysOf(all.files)).toEqual(expect.arrayContaining(both));
    }
  }
}

const rulesOf = (count: number, lifetime: number) => ({ rules: { count, lifetime }, maxBytes: 1e12, blobGrace: GRACE });

onEach(catalogs, (open) => {
  const newSubject = async () => {
    const opened = await open();
    const id = newId();
    await opened.catalog.createDataset({ id, accountId: opened.accountId, name: id, createdAt: 1 });
    return { ...opened, subject: new Subject(opened, id), key: { accountId: opened.accountId, id } };
  };
  const historyBytes = async (database: Database) =>
    (await database.query.selectFrom('account').select('history_bytes').executeTakeFirstOrThrow()).history_bytes;
  const trashIn = async (database: Database) =>
    (await database.query.selectFrom('trash').select('blob_key').execute()).map(({ blob_key }) => blob_key);

  describe('the history of a dataset', () => {
    test('keeps a replaced and a removed file, with who and what, and its blob out of the trash', async () => {
      const { subject, catalog, database } = await newSubject();
      expect((await subject.put({ 'a.jpg': 1, 'a.txt': 2 }, 10))?.revision).toBe(1);
      const phone: Author = { tokenId: 'b2', tokenName: 'phone', how: 'edit', changeId: 'x' };
      expect((await subject.put({ 'a.txt': 3 }, 20, phone))?.revision).toBe(2);
      expect((await subject.remove('a.jpg', 30))?.revision).toBe(3);
      const none = {
        change_id: null,
        restored_from: null,
        digest: null,
        ready: null,
        pinned_at: null,
        pinned_by: null,
        pin_note: null,
      };
      const laptopToken = { token_id: 'a1', token_name: 'laptop' };
      expect(await subject.revisions()).toEqual([
        {
          ...{ dataset_id: subject.id, number: 1, started_at: 10, changed_at: 10, ...laptopToken, how: 'upload' },
          ...{ added: 2, removed: 0, changed: 0, files: 2, bytes: 5, ...none },
        },
        {
          ...{ dataset_id: subject.id, number: 2, started_at: 20, changed_at: 20, how: 'edit' },
          ...{ token_id: 'b2', token_name: 'phone', added: 0, removed: 0, changed: 1, files: 2, bytes: 6, ...none },
          change_id: 'x',
        },
        {
          ...{ dataset_id: subject.id, number: 3, started_at: 30, changed_at: 30, ...laptopToken, how: 'delete' },
          ...{ added: 0, removed: 1, changed: 0, files: 1, bytes: 4, ...none },
        },
      ]);
      expect(await subject.contentsOf(1)).toEqual({ 'a.jpg': 1, 'a.txt': 2 });
      expect(await subject.contentsOf(2)).toEqual({ 'a.jpg': 1, 'a.txt': 3 });
      expect(await subject.contentsOf(3)).toEqual({ 'a.txt': 3 });
      const [past] = await subject.past();
      expect(pastFileOf(past!).upload).toMatchObject({ blobVersion: 'etag', finalizedAt: 5 });
      expect(await catalog.expiredTrash(LATER)).toEqual([]);
      expect(await historyBytes(database)).toBe(5);
    });

    test('joins changes of one client, and counts them in one revision, whose digest is computed again', async () => {
      const { subject, database } = await newSubject();
      await subject.put({ 'a.txt': 1 }, 10);
      await database.query.updateTable('revision').set({ digest: 'old', ready: 1 }).execute();
      await subject.put({ 'b.txt': 2 }, 20);
      const [revision, ...others] = await subject.revisions();
      expect(others).toEqual([]);
      const row = { started_at: 10, changed_at: 20, added: 2, files: 2, bytes: 5, digest: null, ready: null };
      expect(revision).toMatchObject(row);
    });

    test('has no revision of a check that finds a file damaged, but may be READY no longer', async () => {
      const { subject, database } = await newSubject();
      await subject.put({ 'a.txt': 1 }, 10);
      await subject.put({ 'a.txt': 2 }, 20);
      await database.query.updateTable('revision').set({ digest: 'known', ready: 1 }).execute();
      const problem = { code: 'IMAGE_CORRUPT', filename: 'a.txt', severity: 'error', message: '' } as const;
      const damage = (file: DatasetFile) => ({ ...file, upload: { ...file.upload, problem } }) as DatasetFile;
      expect((await subject.change(['a.txt'], 30, laptop, (group) => group.map(damage)))?.revision).toBe(2);
      expect((await subject.revisions()).map(({ digest, ready }) => [digest, ready])).toEqual([
        ['known', null],
        ['known', null],
      ]);
    });

    test('has no revision of an identical replacement, whose old blob goes to the trash', async () => {
      const { subject, catalog } = await newSubject();
      await subject.put({ 'a.txt': 1 }, 10);
      const [old] = await catalog.files(subject.id);
      expect((await subject.put({ 'a.txt': 1 }, 20))?.revision).toBe(1);
      expect(await subject.past()).toEqual([]);
      expect(await catalog.files(subject.id)).toEqual([
        expect.objectContaining({ upload: expect.objectContaining({ addedIn: 1 }) }),
      ]);
      expect(await catalog.expiredTrash(LATER)).toEqual([blobKeyOf(old!)]);
    });

    test('has one row for each file that changed, however many files the dataset has', async () => {
      const { subject } = await newSubject();
      const files = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`n${i}.txt`, i]));
      await subject.put(files, 1);
      for (let i = 0; i < 40; i++) await subject.put({ 'n7.txt': 100 + i }, 10 + i);
      expect(await subject.past()).toHaveLength(40);
      expect(await subject.revisions()).toHaveLength(41);
    });

    test('is restored from, with the same ids, and a restored file can be removed again', async () => {
      const { subject, catalog, database } = await newSubject();
      await subject.put({ 'a.jpg': 1, 'a.txt': 2 }, 10);
      const before = (await catalog.files(subject.id)).map(({ id }) => id).sort();
      await subject.put({ 'a.txt': 3, 'b.txt': 4 }, 20);
      await subject.remove('a.jpg', 30);
      expect((await subject.restore(1, 40))?.revision).toBe(4);
      expect((await catalog.files(subject.id)).map(({ id }) => id).sort()).toEqual(before);
      expect(await subject.contentsOf(4)).toEqual({ 'a.jpg': 1, 'a.txt': 2 });
      expect((await subject.revisions()).at(-1)).toMatchObject({
        ...{ how: 'restore', restored_from: 1, added: 1, removed: 1, changed: 1, files: 2 },
      });
      expect(await historyBytes(database)).toBe(4 + 5);
      await subject.remove('a.jpg', 50);
      expect(await subject.contentsOf(4)).toEqual({ 'a.jpg': 1, 'a.txt': 2 });
      expect(await subject.contentsOf(1)).toEqual({ 'a.jpg': 1, 'a.txt': 2 });
      expect(await historyBytes(database)).toBe(4 + 5 + 2);
    });

    test('keeps the blob of a restored file that is replaced by the same bytes', async () => {
      const { subject, catalog, database } = await newSubject();
      await subject.put({ 'a.txt': 1 }, 10);
      await subject.put({ 'a.txt': 2 }, 20);
      await subject.restore(1, 30);
      await subject.put({ 'a.txt': 1 }, 40);
      expect(await catalog.expiredTrash(LATER)).toEqual([]);
      expect(await historyBytes(database)).toBe(2 + 3);
    });

    test('is not restored from once the revision is gone', async () => {
      const { subject, database } = await newSubject();
      await subject.put({ 'a.txt': 1 }, 10);
      await subject.put({ 'a.txt': 2 }, 20);
      await database.query.deleteFrom('revision').where('number', '=', 1).execute();
      expect(await subject.restore(1, 30)).toBeUndefined();
      expect(await subject.contentsOf(2)).toEqual({ 'a.txt': 2 });
    });

    test('ends with its dataset, and all its blobs go to the trash once', async () => {
      const { subject, catalog, database, key } = await newSubject();
      await subject.put({ 'a.txt': 1 }, 10);
      await subject.put({ 'a.txt': 2 }, 20);
      await subject.restore(1, 30);
      await subject.put({ 'a.txt': 3 }, 40);
      const keys = new Set(
        [...(await subject.past()), ...(await catalog.files(subject.id))].map(({ id }) => `${subject.id}/${id}`),
      );
      expect(await catalog.deleteDataset(key, 50)).toBe(true);
      await catalog.trashDeleted();
      expect((await trashIn(database)).sort()).toEqual([...keys].sort());
      expect([await subject.past(), await subject.revisions()]).toEqual([[], []]);
      expect(await historyBytes(database)).toBe(0);
    });
  });

  describe('retention', () => {
    test('keeps the last revisions, those of the last days and those that are pinned', async () => {
      const { subject, catalog, database } = await newSubject();
      for (let i = 1; i <= 6; i++) await subject.put({ 'a.txt': i }, i * 100);
      await subject.pin(2);
      const retention = new Retention(database, rulesOf(2, 1000));
      const numbers = async () => (await subject.revisions()).map(({ number }) => number);
      await retention.run(1299);
      expect(await numbers()).toEqual([2, 3, 4, 5, 6]);
      await retention.run(1399);
      expect(await numbers()).toEqual([2, 4, 5, 6]);
      await retention.run(LATER);
      expect(await numbers()).toEqual([2, 5, 6]);
      expect(await Promise.all([2, 5, 6].map((number) => subject.contentsOf(number)))).toEqual([
        ...[{ 'a.txt': 2 }, { 'a.txt': 5 }, { 'a.txt': 6 }],
      ]);
      expect(await subject.past()).toHaveLength(2);
      expect(await trashIn(database)).toHaveLength(3);
      expect(await historyBytes(database)).toBe(3 + 6);
      expect(
        await catalog.dataset({ accountId: (await catalog.datasets({}))[0]!.accountId, id: subject.id }),
      ).toMatchObject({ revision: 6 });
    });

    test('looks only at datasets that are due, and when the next revision is', async () => {
      const { subject, database } = await newSubject();
      const due = async () =>
        (await database.query.selectFrom('dataset').select('history_due').executeTakeFirstOrThrow()).history_due;
      expect(await due()).toBeNull();
      await subject.put({ 'a.txt': 1 }, 100);
      expect(await due()).toBe(100);
      const retention = new Retention(database, rulesOf(2, 1000));
      await retention.run(150);
      expect(await due()).toBeNull();
      await subject.put({ 'a.txt': 2 }, 200);
      await subject.put({ 'a.txt': 3 }, 300);
      await retention.run(350);
      expect(await due()).toBe(1100);
      await retention.run(1100);
      expect(await due()).toBeNull();
      expect(await subject.revisions()).toHaveLength(2);
    });

    test('looks at every dataset again when the rules change', async () => {
      const { subject, database } = await newSubject();
      for (let i = 1; i <= 6; i++) await subject.put({ 'a.txt': i }, i * 100);
      await new Retention(database, rulesOf(10, 0)).run(LATER);
      expect(await subject.revisions()).toHaveLength(6);
      await new Retention(database, rulesOf(0, 0)).run(LATER);
      expect(await subject.revisions()).toHaveLength(1);
      expect(await subject.past()).toEqual([]);
    });

    test('deletes the oldest revisions of an account whose history has too many bytes, and none that is pinned', async () => {
      const { subject, database } = await newSubject();
      for (let i = 1; i <= 6; i++) await subject.put({ 'a.txt': i }, i * 100);
      await subject.pin(1);
      const retention = new Retention(database, { ...rulesOf(100, 1e9), maxBytes: 2 + 5 + 6 });
      await retention.run(600);
      expect((await subject.revisions()).map(({ number }) => number)).toEqual([1, 4, 5, 6]);
      expect(await historyBytes(database)).toBe(2 + 5 + 6);
      await new Retention(database, { ...rulesOf(100, 1e9), maxBytes: 0 }).run(700);
      expect((await subject.revisions()).map(({ number }) => number)).toEqual([1, 6]);
    });

    test('deletes past files in slices, and goes on where another process ended', async () => {
      const { subject, database } = await newSubject();
      const retention = new Retention(database, rulesOf(0, 0));
      await retention.run(0);
      const files = (shift: number) =>
        Object.fromEntries(Array.from({ length: 1200 }, (_, i) => [`n${i}.txt`, i + shift]));
      await subject.put(files(0), 1);
      await subject.put(files(5000), 2);
      const stopping = new AbortController();
      const counts: number[] = [];
      const watched: Database = {
        ...database,
        transact: async (options, work) => {
          const result = await database.transact(options, work);
          counts.push((await subject.past()).length);
          if (counts.length === 2) stopping.abort();
          return result;
        },
      };
      await new Retention(watched, rulesOf(0, 0)).run(LATER, stopping.signal);
      expect(counts).toEqual([1200, 700]);
      await retention.run(LATER);
      expect(await subject.past()).toEqual([]);
      expect(await trashIn(database)).toHaveLength(1200);
    });
  });

  const step = fc.record({
    action: fc.constantFrom('put', 'put', 'put', 'remove', 'restore', 'expire', 'pin'),
    filename: fc.constantFrom(...NAMES),
    content: fc.nat({ max: 3 }),
    token: fc.constantFrom('a1', 'b2'),
    number: fc.nat({ max: 8 }),
    pause: fc.constantFrom(1, 700_000_000),
  });

  test('any sequence of changes: each kept revision has its files, no blob of theirs is in the trash, and all others are', async () => {
    const { catalog, accountId, database } = await open();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        await database.query.deleteFrom('dataset').execute();
        await database.query.deleteFrom('trash').execute();
        await database.query
          .updateTable('account')
          .set({ datasets: 0, files: 0, bytes: 0, history_bytes: 0 })
          .execute();
        const id = newId();
        await catalog.createDataset({ id, accountId, name: id, createdAt: 1 });
        const subject = new Subject({ catalog, database }, id);
        const retention = new Retention(database, rulesOf(2, 500_000_000));
        /** The contents after each change, by the number of its revision. */
        const model = new Map<number, Record<string, number>>();
        const everyId = new Set<string>();
        let [now, latest] = [1000, 0];
        for (const { action, filename, content, token, number, pause } of steps) {
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
          else await retention.run(now);
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
          await database.query.executeQuery(recountUsage(database.query).compile());
          expect(await historyBytes(database)).toBe(total);
        }
        await expectReadable(catalog, subject);
      }),
      { numRuns: 60 },
    );
  });
});
