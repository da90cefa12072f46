import { expect, test } from 'vitest';
import type { LinkSlot, Role, StoredFile } from '../../../src/dataset/dataset.js';
import { mediaTypeOf, stemOf } from '../../../src/dataset/media.js';
import { remove, type StemGroup, store } from '../../../src/dataset/upload-transitions.js';
import type { Catalog } from '../../../src/storage/catalog/catalog.js';
import { checkCounts } from '../../../src/storage/catalog/catalog-check.js';
import { LINKED } from '../../../src/storage/catalog/rows.js';
import { countUnpaired } from '../../../src/storage/catalog/pairs/recount-pairs.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';

let ids = 0;
const newId = () => `pairs-${String(++ids).padStart(6, '0')}`;

type Size = readonly [width: number, height: number];

function stored(datasetId: string, filename: string, [width, height]: Size): StoredFile {
  const { kind } = mediaTypeOf(filename)!;
  const facts =
    kind === 'caption' ? ({ kind, characters: 1 } as const) : ({ kind, format: 'x', width, height } as const);
  const bytes = { sizeBytes: 1, sha256: newId().padStart(64, '0'), contentType: 'x', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: null, finalizedAt: 5 } as const;
  return { id: newId(), datasetId, filename, kind, createdAt: 1, upload };
}

class Subject {
  readonly catalog: Catalog;
  readonly database: Database;
  readonly accountId: string;

  constructor({ catalog, database, accountId }: { catalog: Catalog; database: Database; accountId: string }) {
    this.catalog = catalog;
    this.database = database;
    this.accountId = accountId;
  }

  async dataset(name: string, role: Role = 'training'): Promise<string> {
    const dataset = { id: newId(), accountId: this.accountId, name, role, createdAt: 10 };
    return (await this.catalog.createDataset(dataset)).id;
  }

  put(datasetId: string, filenames: string[], size: Size = [1024, 768], catalog = this.catalog) {
    const files = filenames.map((filename) => stored(datasetId, filename, size));
    return catalog.change({ datasetId, filenames, now: 50, isActivity: true, author: laptop }, (group, stem) =>
      files
        .filter(({ filename }) => stemOf(filename) === stem)
        .reduce<StemGroup>((changed, file) => store(changed, file, undefined), group),
    );
  }

  remove(datasetId: string, filename: string, catalog = this.catalog) {
    const change = { datasetId, filenames: [filename], now: 60, isActivity: true, author: laptop };
    return catalog.change(change, (group) => remove(group, filename));
  }

  async link(targetId: string, links: Partial<Record<LinkSlot, string>>): Promise<void> {
    const { query, transact } = this.database;
    const rows = Object.entries(links).map(([slot, linkedId]) => ({ slot: slot as LinkSlot, linkedId }));
    await transact({ isDurable: true }, async ({ send, commit }) => {
      const unpaired = await countUnpaired(query, send, { targetId, links: rows });
      await commit([
        query.deleteFrom('link').where('dataset_id', '=', targetId),
        ...rows.map(({ slot, linkedId }) =>
          query.insertInto('link').values({ dataset_id: targetId, slot, linked_id: linkedId }),
        ),
        query
          .updateTable('dataset')
          .set({ unpaired, linked: rows.length > 0 ? LINKED.from : LINKED.none })
          .where('id', '=', targetId),
        ...rows.map(({ linkedId }) =>
          query.updateTable('dataset').set({ linked: LINKED.to }).where('id', '=', linkedId),
        ),
      ]);
    });
  }

  async unpaired(id: string): Promise<number> {
    return (await this.catalog.dataset({ accountId: this.accountId, id }))!.counts.unpaired;
  }

  async wrongCounts(id: string): Promise<string> {
    return JSON.stringify(await checkCounts(this.database, id, { corrects: false }));
  }

  /** Whether the count in the row is that of the files. */
  async isExact(id: string): Promise<boolean> {
    return (await checkCounts(this.database, id, { corrects: false })) === undefined;
  }
}

onEach(catalogs, (open) => {
  test('a change of the target and of a control moves the count of unpaired stems', async () => {
    const subject = new Subject(await open());
    const [target, depth, mask] = [
      await subject.dataset('railway'),
      await subject.dataset('railway-depth', 'control'),
      await subject.dataset('railway-mask', 'mask'),
    ];
    await subject.put(target, ['a.jpg', 'a.txt', 'b.jpg', 'b.txt']);
    await subject.link(target, { control_1: depth, mask });
    expect(await subject.unpaired(target)).toBe(4);
    await subject.put(depth, ['a.png', 'c.png', 'b.txt']);
    expect(await subject.unpaired(target)).toBe(3);
    await subject.put(mask, ['a.png', 'b.png']);
    expect(await subject.unpaired(target)).toBe(1);
    expect((await subject.put(target, ['c.jpg', 'd.mp4']))?.counts.unpaired).toBe(4);
    await subject.put(depth, ['a.webp']);
    expect(await subject.unpaired(target), 'two controls of one stem').toBe(5);
    await subject.remove(depth, 'a.png');
    await subject.remove(target, 'd.mp4');
    expect(await subject.unpaired(target)).toBe(2);
    await subject.put(mask, ['a.png'], [768, 1024]);
    expect(await subject.unpaired(target), 'a mask of another orientation').toBe(3);
    expect(await subject.isExact(target)).toBe(true);
    await subject.link(target, {});
    expect(await subject.unpaired(target)).toBe(0);
  });

  test('concurrent changes of targets and controls through two connections leave the right counts', async () => {
    const opened = await open();
    const subject = new Subject(opened);
    const catalogsInUse = [opened.catalog, (await opened.openAnother()).catalog];
    const targets = [await subject.dataset('one'), await subject.dataset('two')];
    const controls = [await subject.dataset('depth', 'control'), await subject.dataset('pose', 'control')];
    // Each target has the same controls, in the other order.
    await subject.link(targets[0]!, { control_1: controls[0]!, control_2: controls[1]! });
    await subject.link(targets[1]!, { control_1: controls[1]!, control_2: controls[0]! });
    const stems = ['a', 'b', 'c'];
    for (let round = 0; round < 10; round++) {
      const changes = [...targets, ...controls].flatMap((datasetId, i) =>
        stems.map((stem, j) => {
          const catalog = catalogsInUse[(i + j) % 2];
          return (round + i + j) % 3 === 0
            ? subject.remove(datasetId, `${stem}.jpg`, catalog)
            : subject.put(datasetId, [`${stem}.jpg`, `${stem}.txt`], [1024, 768], catalog);
        }),
      );
      await Promise.all(changes);
    }
    for (const target of targets) {
      expect(await subject.isExact(target), await subject.wrongCounts(target)).toBe(true);
    }
  });

  test('the check of the catalog finds a wrong count of pairs, and corrects it', async () => {
    const subject = new Subject(await open());
    const [target, depth] = [await subject.dataset('railway'), await subject.dataset('depth', 'control')];
    // More stems than a page, and several files of one stem.
    const names = Array.from({ length: 1100 }, (_, i) => [`${i}.jpg`, `${i}.png`]).flat();
    await subject.put(target, names);
    await subject.put(depth, names.filter((name) => name.endsWith('png')).slice(5));
    await subject.link(target, { control_1: depth });
    expect(await subject.unpaired(target)).toBe(5);
    expect(await subject.isExact(target)).toBe(true);
    await subject.database.query.updateTable('dataset').set({ unpaired: 7 }).where('id', '=', target).execute();
    expect(await checkCounts(subject.database, target, { corrects: true })).toMatchObject({
      wrong: [{ name: 'unpaired', recorded: 7, counted: 5 }],
    });
    expect(await subject.unpaired(target)).toBe(5);
  });
});
