import type { ExpressionBuilder, Selectable } from 'kysely';
import type { Micros, Role, StoredFile } from '../../../dataset/dataset.js';
import type { Database, Query } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { fileOf } from '../rows.js';
import { IS_LIVE, IS_STORED, storedAfter } from '../statements.js';

/** The last recheck of a dataset. */
export interface Recheck {
  readonly datasetId: string;
  readonly startedAt: Micros;
  /** Stored files at the start. */
  readonly total: number;
  readonly checked: number;
  /** The id of the last file that was checked. */
  readonly afterId: string;
  /** `null` while it runs. */
  readonly finishedAt: Micros | null;
}

export interface AcquiredRecheck extends Recheck {
  /** Of the dataset, as long as the lease is held. */
  readonly role: Role;
}

/** The holder of the lease on a recheck. */
export interface RecheckHolder {
  readonly datasetId: string;
  readonly token: string;
}

/** Rechecks in the database. Each change is one statement, which does nothing if the caller no longer holds the lease. */
export class Rechecks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Starts a recheck of a dataset, unless one is running. */
  async start(datasetId: string, now: Micros): Promise<void> {
    await startOf(this.#db.query, { datasetId, now })
      .onConflict((conflict) =>
        conflict
          .column('dataset_id')
          .doUpdateSet(({ ref }) => fromTheStart(ref))
          .where('recheck.finished_at', 'is not', null),
      )
      .execute();
  }

  async of(datasetId: string): Promise<Recheck | undefined> {
    const row = await this.#db.query
      .selectFrom('recheck')
      .selectAll()
      .where('dataset_id', '=', datasetId)
      .executeTakeFirst();
    return row && recheckOf(row);
  }

  /** The ids of the accounts that have an unfinished recheck which no lease holds after `until`. */
  async accounts(until: Micros): Promise<string[]> {
    const rows = await this.#unfinished(until).select('dataset.account_id').distinct().execute();
    return rows.map((row) => row.account_id);
  }

  /** The ids of the datasets of an account with such rechecks, the oldest first, at most `limit`. */
  async datasetsOfAccount({
    accountId,
    until,
    limit,
  }: {
    accountId: string;
    until: Micros;
    limit: number;
  }): Promise<string[]> {
    const rows = await this.#unfinished(until)
      .select('recheck.dataset_id')
      .where('dataset.account_id', '=', accountId)
      .orderBy('started_at')
      .orderBy('recheck.dataset_id')
      .limit(limit)
      .execute();
    return rows.map((row) => row.dataset_id);
  }

  #unfinished(until: Micros) {
    return this.#db.query
      .selectFrom('recheck')
      .innerJoin('dataset', 'dataset.id', 'recheck.dataset_id')
      .where('finished_at', 'is', null)
      .where((eb) => eb.or([eb('lease_until', 'is', null), eb('lease_until', '<=', until)]));
  }

  /** Acquires the lease on an unfinished recheck; `undefined` if another holder has it. */
  async acquire(
    { datasetId, token }: RecheckHolder,
    lease: { expiredBy: Micros; until: Micros },
  ): Promise<AcquiredRecheck | undefined> {
    const row = await this.#db.query
      .updateTable('recheck')
      .set({ lease_until: lease.until, lease_token: token })
      .where('dataset_id', '=', datasetId)
      .where('finished_at', 'is', null)
      .where((eb) => eb.or([eb('lease_until', 'is', null), eb('lease_until', '<=', lease.expiredBy)]))
      .returningAll()
      .executeTakeFirst();
    // Read afterwards: a later change of the role restarts the recheck, so that this lease is lost.
    const dataset = await this.#db.query
      .selectFrom('dataset')
      .select('role')
      .where('id', '=', datasetId)
      .executeTakeFirst();
    return row && dataset && { ...recheckOf(row), role: dataset.role as Role };
  }

  /** Records progress, and renews or releases the lease. @returns false if the lease was lost */
  async save(
    holder: RecheckHolder,
    change: { checked?: number; afterId?: string; finishedAt?: Micros; leaseUntil: Micros | null },
  ): Promise<boolean> {
    const { checked, afterId, finishedAt, leaseUntil } = change;
    const row = await this.#db.query
      .updateTable('recheck')
      .set({
        ...(checked !== undefined && { checked }),
        ...(afterId !== undefined && { after_id: afterId }),
        ...(finishedAt !== undefined && { finished_at: finishedAt }),
        lease_until: leaseUntil,
        ...(leaseUntil === null && { lease_token: null }),
      })
      .where('dataset_id', '=', holder.datasetId)
      .where('lease_token', '=', holder.token)
      .returning('dataset_id')
      .executeTakeFirst();
    return row !== undefined;
  }

  /** The next files of a recheck: files that are stored since its start need none. */
  async nextFiles({ datasetId, startedAt, afterId }: Recheck, limit: number): Promise<StoredFile[]> {
    const rows = await this.#db.query
      .selectFrom('file')
      .selectAll()
      .where('dataset_id', '=', datasetId)
      .where('state', '=', IS_STORED)
      .where('settled_at', '<=', startedAt)
      .where('id', '>', afterId)
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map((row) => fileOf(row) as StoredFile);
  }

  /** The stored files of a dataset that have a problem, by name, at most `limit`. */
  async damagedFiles(datasetId: string, limit: number): Promise<StoredFile[]> {
    const files = storedAfter(this.#db.query, { datasetId, after: '', limit });
    const rows = await files.where('problem', 'is not', null).execute();
    return rows.map((row) => fileOf(row) as StoredFile);
  }
}

/**
 * The statement that starts a recheck of a dataset, or restarts one that is running. It is part of a transaction that has
 * the lock of the dataset, and covers all files that are stored then.
 */
export function restartRecheck(query: Query, dataset: { datasetId: string; now: Micros }) {
  return startOf(query, dataset).onConflict((conflict) =>
    conflict.column('dataset_id').doUpdateSet(({ ref }) => fromTheStart(ref)),
  );
}

const UNCHECKED = { checked: 0, after_id: '', finished_at: null, lease_until: null, lease_token: null } as const;

function fromTheStart(ref: ExpressionBuilder<Schema & { excluded: Schema['recheck'] }, 'excluded' | 'recheck'>['ref']) {
  return { ...UNCHECKED, started_at: ref('excluded.started_at'), total: ref('excluded.total') };
}

/** Adds a recheck of the files that are stored, including those whose time is later than `now`: of another instance. */
function startOf(query: Query, { datasetId, now }: { datasetId: string; now: Micros }) {
  const columns = Object.keys(UNCHECKED) as (keyof typeof UNCHECKED)[];
  return query
    .insertInto('recheck')
    .columns(['dataset_id', 'total', 'started_at', ...columns])
    .expression((eb) =>
      eb
        .selectFrom('dataset')
        .leftJoin('file', (join) =>
          join
            .onRef('file.dataset_id', '=', 'dataset.id')
            .on('file.state', '=', IS_STORED)
            // As every stored file; for the index.
            .on('file.settled_at', 'is not', null),
        )
        .select((of) => [
          'dataset.id',
          of.fn.count<number>('file.id').as('total'),
          of.fn
            .max(of.case().when('file.settled_at', '>', now).then(of.ref('file.settled_at')).else(now).end())
            .as('started_at'),
          ...columns.map((name) => of.val(UNCHECKED[name]).as(name)),
        ])
        .where('dataset.id', '=', datasetId)
        .where(IS_LIVE)
        .groupBy('dataset.id'),
    );
}

function recheckOf(row: Selectable<Schema['recheck']>): Recheck {
  const { dataset_id: datasetId, started_at: startedAt, after_id: afterId, finished_at: finishedAt } = row;
  return { datasetId, startedAt, total: row.total, checked: row.checked, afterId, finishedAt };
}
