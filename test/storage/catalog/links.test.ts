import { describe, expect, test } from 'vitest';
import type { LinkSlot, Role } from '../../../src/dataset/dataset.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import type { Catalog } from '../../../src/storage/catalog/catalog.js';
import { query } from '../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { imageNamed } from '../../harness/stored-image.js';

let ids = 0;

onEach(catalogs, (open) => {
  const openAccount = async () => {
    const { catalog, accountId, database } = await open();
    const make = (name: string, role?: Role) =>
      catalog.createDataset({ id: `d-${++ids}`, accountId, name, createdAt: 1, ...(role && { role }) });
    const find = async (id: string) => (await catalog.dataset({ accountId, id }))!;
    const link = (id: string, links: Partial<Record<LinkSlot, string>>, now = 50) => {
      const wanted = Object.entries(links).map(([slot, linkedId]) => ({ slot: slot as LinkSlot, linkedId }));
      return catalog.links.replace({ accountId, id }, { links: wanted, now });
    };
    return { catalog, accountId, database, make, find, link };
  };
  const upload = (catalog: Catalog, datasetId: string, filename: string) =>
    catalog.change({ datasetId, filenames: [filename], now: 5, isActivity: true }, (group) =>
      store(group, { ...imageNamed('a'), id: `file-${++ids}`, datasetId, filename }, undefined),
    );
  /** The names of what a dataset links to, by slot. */
  const linksIn = ({ links }: Awaited<ReturnType<Catalog['dataset']>> & object) =>
    Object.fromEntries(links.map(({ slot, dataset }) => [slot, dataset.name]));

  describe('links', () => {
    test('are replaced as a whole, and are read with the dataset, in a list and with its files', async () => {
      const { catalog, accountId, make, find, link } = await openAccount();
      const target = await make('railway');
      const [depth, pose] = [await make('depth', 'control'), await make('pose', 'control')];
      const mask = await make('mask', 'mask');
      const heard: string[] = [];
      catalog.changes.onAnyChange((changed) => heard.push(changed));
      expect(await link(target.id, { mask: mask.id, control_2: pose.id, control_1: depth.id })).toBe(true);
      expect([...new Set(heard)].sort()).toEqual([target.id, depth.id, pose.id, mask.id].sort());
      const linked = await find(target.id);
      expect(linked.links.map(({ slot, dataset }) => [slot, dataset.name, dataset.role])).toEqual([
        ['control_1', 'depth', 'control'],
        ['control_2', 'pose', 'control'],
        ['mask', 'mask', 'mask'],
      ]);
      expect(linked).toMatchObject({ isLinkedTo: false, updatedAt: 50 });
      expect((await catalog.contents({ accountId, id: target.id }))?.dataset).toEqual(linked);
      expect((await catalog.datasets({ accountId })).find(({ id }) => id === target.id)).toEqual(linked);
      expect(await find(depth.id)).toMatchObject({ isLinkedTo: true, links: [] });
      expect(await catalog.links.linkingTo(depth.id)).toEqual([{ id: target.id, name: 'railway' }]);
      // Other slots, and one that is gone.
      heard.length = 0;
      await link(target.id, { control_1: pose.id, control_2: depth.id }, 60);
      expect(linksIn(await find(target.id))).toEqual({ control_1: 'pose', control_2: 'depth' });
      expect([...new Set(heard)].sort()).toEqual([target.id, depth.id, pose.id, mask.id].sort());
      expect(await find(mask.id)).toMatchObject({ isLinkedTo: false });
      // The same again is no change.
      heard.length = 0;
      await link(target.id, { control_1: pose.id, control_2: depth.id }, 70);
      expect([heard, (await find(target.id)).updatedAt]).toEqual([[], 60]);
      await link(target.id, {}, 80);
      expect(await find(target.id)).toMatchObject({ links: [], counts: { unpaired: 0 } });
      expect(await find(depth.id)).toMatchObject({ isLinkedTo: false });
    });

    test('a dataset that is linked to can be neither deleted nor given another role; the error names who uses it', async () => {
      const { catalog, accountId, make, find, link } = await openAccount();
      const depth = await make('depth', 'control');
      const targets = [];
      for (let i = 10; i < 22; i++) targets.push(await make(`t${i}`));
      for (const { id } of targets) await link(id, { control_1: depth.id });
      const error = { code: 'dataset_linked', message: expect.stringMatching(/12 datasets: "t10".*"t19" and 2 more/) };
      const key = { accountId, id: depth.id };
      await expect(catalog.deleteDataset(key, 60)).rejects.toMatchObject(error);
      await expect(catalog.changeDataset(key, { role: 'mask' }, 60)).rejects.toMatchObject(error);
      await expect(
        catalog.changeDataset({ accountId, id: targets[0]!.id }, { role: 'mask' }, 60),
      ).rejects.toMatchObject({
        code: 'dataset_linked',
        message: expect.stringMatching(/"t10" has controls or masks.*trainyard pair t10 --none/),
      });
      // Names can be changed.
      await catalog.changeDataset(key, { name: 'deep', role: 'control' }, 60);
      expect(linksIn(await find(targets[0]!.id))).toEqual({ control_1: 'deep' });
      // The last target that is deleted, or loses its links, sets it free.
      for (const { id } of targets.slice(1)) expect(await catalog.deleteDataset({ accountId, id }, 60)).toBe(true);
      expect(await catalog.links.linkingTo(depth.id)).toHaveLength(1);
      await expect(catalog.deleteDataset(key, 60)).rejects.toMatchObject({ code: 'dataset_linked' });
      await link(targets[0]!.id, {});
      expect(await catalog.deleteDataset(key, 60)).toBe(true);
    });

    test('of concurrent changes, each leaves datasets and links that agree', async () => {
      const { catalog, accountId, database, make, link } = await openAccount();
      for (let round = 0; round < 4; round++) {
        const controls = await Promise.all([0, 1, 2].map((i) => make(`c-${round}-${i}`, 'control')));
        const targets = await Promise.all([0, 1, 2].map((i) => make(`t-${round}-${i}`)));
        const [a, b, c] = controls.map(({ id }) => id) as [string, string, string];
        const [t, u, v] = targets.map(({ id }) => id) as [string, string, string];
        await link(t, { control_1: a });
        const outcomes = await Promise.allSettled([
          link(t, { control_1: b, control_2: a }),
          link(t, { control_1: a, control_2: b, control_3: c }),
          link(u, { control_1: b, control_2: a }),
          link(v, { control_1: a }),
          catalog.deleteDataset({ accountId, id: v }, 60),
          catalog.deleteDataset({ accountId, id: c }, 60),
          catalog.changeDataset({ accountId, id: b }, { role: 'mask' }, 60),
          upload(catalog, a, 'x.jpg'),
          upload(catalog, t, 'x.jpg'),
        ]);
        const unexpected = outcomes
          .filter((outcome) => outcome.status === 'rejected')
          .map(({ reason }) => reason.code)
          .filter((code) => !['dataset_linked', 'wrong_role', 'dataset_not_found'].includes(code));
        expect(unexpected).toEqual([]);
        const links = await database.run(query.selectFrom('link').selectAll());
        for (const { id, role, linked } of await database.run(query.selectFrom('dataset').selectAll())) {
          const [from, to] = [
            links.filter((row) => row.dataset_id === id),
            links.filter((row) => row.linked_id === id),
          ];
          expect(linked).toBe(from.length > 0 ? 1 : to.length > 0 ? 2 : 0);
          expect(from.length === 0 || role === 'training').toBe(true);
          expect(to.length === 0 || role === 'control').toBe(true);
        }
      }
    });
  });
});
