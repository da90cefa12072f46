import { type Compilable, sql } from 'kysely';
import type { Micros, StoredFile } from '../../dataset/dataset.js';
import type { Database, Query } from '../database/database.js';
import { enqueueSelected, type JobKind } from './jobs.js';
import { fileOf } from './rows.js';
import { statementOf, storedAfter } from './statements.js';

/** Each file has a job with the key `<id of the dataset>/<id of the file>`. */
export const RECHECK_JOB = 'inspect-again' satisfies JobKind;

/** The last recheck of a dataset: its stored files are compared with their SHA-256 and inspected again. */
export interface Recheck {
  readonly datasetId: string;
  readonly startedAt: Micros;
  /** Stored files at the start. */
  readonly total: number;
  readonly remaining: number;
  /** `null` while it runs. */
  readonly finishedAt: Micros | null;
}

/** Rechecks, whose progress is the count of their jobs. */
export class Rechecks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Starts a recheck of a dataset, unless one is running; call `Jobs.wake` after it. */
  async start(datasetId: string, now: Micros): Promise<void> {
    const { query, transact } = this.#db;
    const statements = startRecheck(query, { datasetId, now, ifRunning: 'continue' });
    await transact({ isDurable: true }, ({ commit }) => commit(statements));
  }

  async of(datasetId: string): Promise<Recheck | undefined> {
    const row = await this.#db.query
      .selectFrom('recheck')
      .innerJoin('dataset', 'dataset.id', 'recheck.dataset_id')
      .select(['recheck.started_at', 'recheck.total', 'recheck.checked_at'])
      .select((eb) =>
        eb
          .selectFrom('job')
          .select(({ fn }) => fn.countAll().as('jobs'))
          .where(isJobOfDataset)
          .as('remaining'),
      )
      .where('recheck.dataset_id', '=', datasetId)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { started_at: startedAt, total } = row;
    const remaining = Number(row.remaining);
    const finishedAt = remaining > 0 ? null : (row.checked_at ?? startedAt);
    return { datasetId, startedAt, total, remaining, finishedAt };
  }

  /** Records when a file was checked, before its job ends. */
  async recordCheck(datasetId: string, now: Micros): Promise<void> {
    const update = this.#db.query.updateTable('recheck').set({ checked_at: now }).where('dataset_id', '=', datasetId);
    await this.#db.transact({ isDurable: false }, ({ commit }) => commit([update]));
  }

  /** The stored files of a dataset that have a problem, by name, at most `limit`. */
  async damagedFiles(datasetId: string, limit: number): Promise<StoredFile[]> {
    const files = storedAfter(this.#db.query, { datasetId, after: '', limit });
    const rows = await files.where('problem', 'is not', null).execute();
    return rows.map((row) => fileOf(row) as StoredFile);
  }
}

/** An account has few such jobs, and an index lists them. */
const isJobOfDataset = sql<boolean>`job.kind = ${sql.lit(RECHECK_JOB)} and job.account_id = dataset.account_id
  and job.key like dataset.id || '/%'`;

/** The statements that start a recheck of all stored files, under the lock of the dataset. @param options.ifRunning if one runs */
export function startRecheck(
  query: Query,
  { datasetId, now, ifRunning }: { datasetId: string; now: Micros; ifRunning: 'restart' | 'continue' },
): Compilable<unknown>[] {
  const isWanted = ifRunning === 'restart' ? sql`true` : sql`not exists (select 1 from job where ${isJobOfDataset})`;
  // Each stored file has `finalized_at`; the condition is for the index.
  const isStored = sql`file.dataset_id = dataset.id and file.state = 'stored' and file.finalized_at is not null`;
  const ofDataset = sql`dataset.id = ${datasetId} and ${isWanted}`;
  const recheck = sql<never>`
    insert into recheck (dataset_id, total, started_at)
    select dataset.id, count(file.id), cast(${now} as bigint)
    from dataset left join file on ${isStored} where ${ofDataset} group by dataset.id
    on conflict (dataset_id) do update set
      started_at = excluded.started_at, total = excluded.total, checked_at = null`;
  const jobs = sql<{ key: string; account_id: string; due_at: number }>`(
    select dataset.id || '/' || file.id as key, dataset.account_id, cast(${now} as bigint) as due_at
    from dataset join file on ${isStored} where ${ofDataset}
  )`;
  return [statementOf(query, recheck), enqueueSelected(query, RECHECK_JOB, jobs)];
}

/** The statement that ends the recheck of a dataset, for the transaction that deletes it: a decode that runs loses its lease. */
export function endRecheck(query: Query, { id, accountId }: { id: string; accountId: string }) {
  const jobs = query.deleteFrom('job').where('kind', '=', RECHECK_JOB).where('account_id', '=', accountId);
  return jobs.where('key', 'like', `${id}/%`);
}
