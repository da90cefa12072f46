import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { installationSetting, openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { whyNoPostgres } from '../../harness/available.js';
import { databaseForTest, onDatabase } from '../../harness/postgres.js';

/** The grants of `docs/scaling.md`, for one role. */
async function documentedGrants(role: string): Promise<string[]> {
  const text = await readFile(new URL('../../../docs/scaling.md', import.meta.url), 'utf8');
  const block = /```sql\n(grant [\s\S]*?)```/.exec(text)?.[1];
  if (block === undefined) throw new Error('docs/scaling.md has no grants.');
  return block.replaceAll('trainyard', role).trim().split('\n');
}

describe.skipIf(whyNoPostgres() !== undefined)('a role with minimal grants', () => {
  test('needs only the documented grants after the first start', async () => {
    const url = await databaseForTest();
    const config = { dataFolder: '', blobGrace: 0 };
    await (await openCatalog({ ...config, databaseUrl: url })).close();
    const role = `limited_${randomUUID().replaceAll('-', '')}`;
    await onDatabase(url, `create role ${role} login password 'limited'`, ...(await documentedGrants(role)));
    onTestFinished(async () => {
      await onDatabase(url, `drop owned by ${role}`, `drop role ${role}`);
    });
    const limited = new URL(url);
    [limited.username, limited.password] = [role, 'limited'];
    const opened = await openCatalog({ ...config, databaseUrl: limited.href });
    const { catalog, accounts, database, close, now } = opened;
    try {
      const { token } = await accounts.createToken('tester', now());
      const accountId = (await accounts.grantOf(token))!.accountId;
      const key = { id: randomUUID(), accountId };
      await catalog.createDataset({ ...key, name: 'dogs', createdAt: now() });
      let isHeard = false;
      catalog.changes.onAnyChange((id) => {
        if (id === key.id) isHeard = true;
      });
      expect(await installationSetting(database.query, 'link-key', () => 'secret')).toBe('secret');
      expect(await catalog.deleteDataset(key, now())).toBe(true);
      expect([isHeard, await catalog.trash.due(now())]).toEqual([true, []]);
    } finally {
      await close();
    }
  });
});
