import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LinkSlot, Role } from '../../../src/dataset/dataset.js';
import { ServiceError } from '../../../src/dataset/errors.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { wrongCountsOf } from '../../harness/check-counts.js';
import { onCatalogs } from '../../harness/backends.js';
import { laptop } from '../../harness/author.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';

const ROLES: readonly Role[] = ['training', 'training', 'control', 'control', 'mask'];
const NAMES = ['a.jpg', 'a.png', 'a.mp4', 'a.gif', 'a.txt', 'b.webp', 'b.txt', 'c.jpg'];
const SIZES = [
  [1024, 768],
  [768, 1024],
  [40, 30],
] as const;
const SLOTS: readonly LinkSlot[] = ['control_1', 'control_2', 'mask'];

type Step =
  | { readonly do: 'put'; readonly dataset: number; readonly names: readonly string[]; readonly size: number }
  | { readonly do: 'remove'; readonly dataset: number; readonly name: string }
  | { readonly do: 'restore'; readonly dataset: number; readonly back: number }
  | { readonly do: 'damage'; readonly dataset: number }
  | { readonly do: 'link'; readonly dataset: number; readonly to: readonly (number | null)[] }
  | { readonly do: 'rename'; readonly dataset: number; readonly name: string }
  | { readonly do: 'role'; readonly dataset: number; readonly role: Role }
  | { readonly do: 'delete'; readonly dataset: number };

const dataset = fc.nat(ROLES.length - 1);
/** Links of each slot to a dataset that had its role in the beginning, and to any dataset. */
const fitting = fc.tuple(fc.option(fc.constantFrom(2, 3)), fc.option(fc.constantFrom(2, 3)), fc.option(fc.constant(4)));
const any = fc.option(dataset);
const weighted = (weight: number, step: Step['do'], fields: Record<string, fc.Arbitrary<unknown>> = {}) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(step), dataset, ...fields }),
});
const anyStep = fc.oneof(
  weighted(6, 'put', { names: fc.subarray(NAMES, { minLength: 1 }), size: fc.nat(2) }),
  weighted(3, 'remove', { name: fc.constantFrom(...NAMES) }),
  weighted(2, 'restore', { back: fc.nat(4) }),
  weighted(8, 'damage'),
  weighted(4, 'link', { dataset: fc.constantFrom(0, 1), to: fitting }),
  weighted(1, 'link', { to: fc.tuple(any, any, any) }),
  weighted(1, 'role', { role: fc.constantFrom('training', 'control', 'mask') }),
  weighted(2, 'rename', { name: fc.uuid() }),
  weighted(1, 'delete'),
) as fc.Arbitrary<Step>;

onCatalogs((open) => {
  test('after any changes of files, links and roles, the counts are those of all files, and what is remembered of pairs is true', async () => {
    const opened = await open();
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 25 }), async (steps) => {
        const subject = new PairedDatasets(opened);
        const ids: string[] = [];
        for (const role of ROLES) ids.push(await subject.create(role));
        await subject.link(ids[0]!, { control_1: ids[2]!, control_2: ids[3]!, mask: ids[4]! });
        for (const step of steps) {
          await run(subject, ids, step);
          for (const id of ids) {
            const key = { accountId: opened.accountId, id };
            // Before a read of the dataset alone, which is remembered too.
            const found = await opened.catalog.contents(key);
            const dataset = await opened.catalog.dataset(key);
            if (dataset === undefined) continue;
            expect(dataset.counts.unpaired, JSON.stringify(step)).toBe(await subject.errorsOf(dataset));
            expect(await wrongCountsOf(opened.database, id)).toEqual([]);
            const anew = await new Catalog(opened.database, { blobGrace: 0 }).contents(key);
            expect(found?.pairs, JSON.stringify(step)).toEqual(anew?.pairs);
            expect([found?.dataset, anew?.dataset]).toEqual([dataset, dataset]);
          }
        }
      }),
      { numRuns: 6, seed: 1 },
    );
  });
});

async function run(subject: PairedDatasets, ids: readonly string[], step: Step): Promise<void> {
  const { catalog, accountId } = subject;
  const id = ids[step.dataset]!;
  switch (step.do) {
    case 'put':
      await subject.put(id, step.names, { size: SIZES[step.size]! });
      return;
    case 'remove':
      await subject.remove(id, step.name);
      return;
    case 'damage':
      await subject.damage(id);
      return;
    case 'restore': {
      const latest = (await catalog.dataset({ accountId, id }))?.revision ?? 0;
      const number = latest - step.back;
      await catalog.restore({ datasetId: id, number, author: { ...laptop, how: 'restore' }, now: 70 });
      return;
    }
    case 'link': {
      const links = SLOTS.flatMap((slot, i) => {
        const to = step.to[i];
        return to == null ? [] : [{ slot, linkedId: ids[to]! }];
      });
      const isOnce = new Set([id, ...links.map(({ linkedId }) => linkedId)]).size === links.length + 1;
      if (isOnce) await unlessRejected(catalog.links.replace({ accountId, id }, { links, now: 80 }));
      return;
    }
    case 'rename':
      await catalog.changeDataset({ accountId, id }, { name: `${id}-${step.name}` }, 90);
      return;
    case 'role':
      await unlessRejected(catalog.changeDataset({ accountId, id }, { role: step.role }, 90));
      return;
    case 'delete':
      await unlessRejected(catalog.deleteDataset({ accountId, id }, 100));
      return;
  }
}

/** The rules of links are tested elsewhere; here, what they reject must change nothing. */
async function unlessRejected(change: Promise<unknown>): Promise<void> {
  await change.catch((error) => {
    if (!(error instanceof ServiceError)) throw error;
    expect(['wrong_role', 'dataset_linked', 'dataset_not_found']).toContain(error.code);
  });
}
