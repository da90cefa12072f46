import { sql } from 'kysely';
import type { Micros, ReceivedFile } from '../../../dataset/dataset.js';
import type { Database } from '../../database/database.js';
import { fileOf } from '../rows.js';
import { IS_LIVE, IS_RECEIVED } from '../statements.js';

/** The condition of an index, which SQLite takes only for these very words. */
const HAS_RECEIVED = sql<boolean>`dataset.received > 0`;

/** Received files in the database. */
export class ReceivedFiles {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The ids of the accounts that have some. */
  async accounts(): Promise<string[]> {
    const select = this.#db.query.selectFrom('dataset').select('account_id').distinct();
    const rows = await select.where(HAS_RECEIVED).where(IS_LIVE).execute();
    return rows.map((row) => row.account_id);
  }

  /** Those of an account that no lease holds after `until`, of each dataset the oldest first, at most `limit`. */
  async ofAccount({
    accountId,
    until,
    limit,
  }: {
    accountId: string;
    until: Micros;
    limit: number;
  }): Promise<ReceivedFile[]> {
    const { query } = this.#db;
    const datasets = query.selectFrom('dataset').select('id').where('account_id', '=', accountId).where(HAS_RECEIVED);
    const files: ReceivedFile[] = [];
    // SQLite does not use the indexes if it is one statement.
    for (const { id } of await datasets.orderBy('id').execute()) {
      const rows = await query
        .selectFrom('file')
        .selectAll()
        .where('dataset_id', '=', id)
        .where('state', '=', IS_RECEIVED)
        .where((eb) => eb.or([eb('arriving_until', 'is', null), eb('arriving_until', '<=', until)]))
        .orderBy('settled_at')
        .orderBy('id')
        .limit(limit - files.length)
        .execute();
      files.push(...rows.map((row) => fileOf(row) as ReceivedFile));
      if (files.length === limit) break;
    }
    return files;
  }
}
