import type { Query } from '../database/database.js';

/** The value of a setting of the installation. The first call creates it; it never changes. */
export async function installationSetting(query: Query, name: string, make: () => string): Promise<string> {
  await query
    .insertInto('setting')
    .values({ name, value: make() })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const select = query.selectFrom('setting').select('value').where('name', '=', name);
  return (await select.executeTakeFirstOrThrow()).value;
}
