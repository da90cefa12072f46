import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { MountRoot } from '../../../src/service/mount/mount-root.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { newRoot } from '../../harness/mounting.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';
import { eventually } from '../../harness/server.js';

/** A dataset is mounted this long after its last change. */
const QUIET_MS = 2000;

/** Holds the first read of one dataset. */
class HeldCatalog extends Catalog {
  hold: { id: string; until: () => Promise<void> } | undefined;

  override async datasets(filter: Parameters<Catalog['datasets']>[0]) {
    const { hold } = this;
    if (hold !== undefined && filter.ids?.[0] === hold.id) {
      this.hold = undefined;
      await hold.until();
    }
    return super.datasets(filter);
  }
}

onEach(catalogs, (open) => {
  test('the accounts take turns, also one whose dataset becomes READY while those of others are mounted', async () => {
    const { accounts, accountId: many, database } = await open();
    const accountOf = async (name: string) => {
      const { token } = await accounts.createToken(name, 1);
      return (await accounts.grantOf(token))!.accountId;
    };
    const [older, one, late] = [await accountOf('older'), await accountOf('one'), await accountOf('late')];
    const catalog = new HeldCatalog(database, { blobGrace: 0 });
    // Each READY dataset has the name of an older one, so that a warning takes the place of its mount.
    const addReady = async (accountId: string, id: string) => {
      await catalog.createDataset({ id: `older ${id}`, accountId: older, name: id, createdAt: 1 });
      await catalog.createDataset({ id, accountId, name: id, createdAt: 2 });
      await new PairedDatasets({ catalog, accountId }).put(id, ['a.jpg', 'a.txt']);
    };
    for (const id of ['a1', 'a2', 'a3', 'a4', 'a5', 'a6']) await addReady(many, id);
    await addReady(one, 'b');
    catalog.hold = {
      id: 'a3',
      until: async () => {
        await addReady(late, 'c');
        const dueAt = Date.now() + QUIET_MS;
        await eventually(() => (Date.now() >= dueAt ? true : undefined));
      },
    };
    const warned: unknown[] = [];
    const log = {
      info: () => {},
      warn: (details: object) => warned.push('dataset' in details ? details.dataset : details),
    };
    const rules = { captionGrace: 0 };
    const dependencies = { catalog, rules, now: () => Date.now() * 1000 } as unknown as ServiceDependencies;
    const folder = await newRoot();
    const mountRoot = new MountRoot(dependencies, { root: join(folder, 'root'), dataFolder: folder, log });
    mountRoot.start();
    onTestFinished(() => mountRoot.stop());
    await eventually(() => (warned.length === 8 ? true : undefined));
    expect(warned).toEqual(['a1', 'b', 'a2', 'a3', 'a4', 'c', 'a5', 'a6']);
  });
});
