import { expect, test } from 'vitest';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { plansOfReads } from '../../harness/query-plans.js';

/** From some ids on, SQLite would read all datasets of the account, if it had the choice. */
const IDS = Array.from({ length: 200 }, (_, i) => `d${i}`);

const BY_ID = expect.stringMatching(/sqlite_autoindex_dataset_1 \(id=|dataset_pkey/);

onEach(catalogs, (open) => {
  /** Three datasets of an account, one of which is not among the ids, and one of another that is. */
  const openDatasets = async () => {
    const { catalog, accounts, accountId, database } = await open();
    const { token } = await accounts.createToken('stranger', 1);
    const strangerId = (await accounts.grantOf(token))!.accountId;
    const owners = { d1: accountId, d2: accountId, other: accountId, d3: strangerId };
    for (const [id, owner] of Object.entries(owners)) {
      await catalog.createDataset({ id, accountId: owner, name: id, createdAt: 1 });
    }
    return { accountId, database };
  };

  test('datasets of an account are found by their ids, and none of another account', async () => {
    const { accountId, database } = await openDatasets();
    const plans = await plansOfReads(database, 'dataset', async (watched) => {
      const catalog = new Catalog(watched, { blobGrace: 1 });
      for (const filter of [{}, { limit: 500 }]) {
        const found = await catalog.datasets({ accountId, ids: IDS, ...filter });
        expect(found.map(({ id }) => id)).toEqual(['d2', 'd1']);
      }
    });
    expect(plans).toEqual([BY_ID, BY_ID]);
  });
});
