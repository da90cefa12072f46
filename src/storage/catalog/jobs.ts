import { type Expression, type Selectable, sql } from 'kysely';
import type { Micros } from '../../dataset/dataset.js';
import { type Database, FOR_UPDATE, SKIP_LOCKED, type Statement } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { rowChunksOf } from './rows.js';

export const JOB_KINDS = [
  'announce',
  'caption-file',
  'caption-run',
  'check-file',
  'clean-up',
  'clean-store',
  'deliver',
  'empty-trash',
  'finalize-upload',
  'find-uploads',
  'hash-images',
  'inspect-again',
  'mount',
  'prune-history',
  'prune-tokens',
  'verify-blob',
] as const;

export type JobKind = (typeof JOB_KINDS)[number];

/** The owner of jobs of the installation, such as the cleanup. */
export const INSTALLATION = '';

export interface NewJob {
  readonly kind: JobKind;
  /** The subject of the job, such as the id of a file; unique for its kind. */
  readonly key: string;
  readonly accountId: string;
  readonly dueAt: Micros;
  readonly payload?: object;
}

/** A claimed job. */
export interface Job extends Required<Omit<NewJob, 'dueAt'>> {
  /** Failed attempts since the job was enqueued or succeeded. */
  readonly failures: number;
  /** Why the last attempt failed. */
  readonly error: string | undefined;
  readonly lease: string;
  readonly generation: number;
}

/** An account that has jobs of a kind, and when the first of them is due. */
export type JobOwner = Pick<NewJob, 'kind' | 'accountId' | 'dueAt'>;

const INSERT = sql`insert into job (kind, key, account_id, payload, due_at)`;

/** A waiting job keeps the earlier time, and a running one its lease. */
const ENQUEUE_AGAIN = sql`
  on conflict (kind, key) do update set
    payload = excluded.payload,
    due_at = case when job.lease is not null or job.due_at < excluded.due_at then job.due_at else excluded.due_at end,
    generation = job.generation + 1,
    failures = 0,
    error = null`;

/**
 * The statements that enqueue jobs, for the transaction that makes them necessary; call `Jobs.wake` after it. A waiting job gets
 * the new payload; a running one runs again.
 *
 * @param jobs each of another kind or key
 */
export function enqueue(jobs: readonly NewJob[]): Statement<never>[] {
  return rowChunksOf(jobs).map((chunk) => sql<never>`${valuesOf(chunk)} ${ENQUEUE_AGAIN}`);
}

function valuesOf(jobs: readonly NewJob[]) {
  const rows = jobs.map(
    ({ kind, key, accountId, payload = {}, dueAt }) =>
      sql`(${kind}, ${key}, ${accountId}, ${JSON.stringify(payload)}, ${dueAt})`,
  );
  return sql`${INSERT} values ${sql.join(rows)}`;
}

export function enqueueSelected(
  kind: JobKind,
  rows: Expression<{ key: string; account_id: string; due_at: number }>,
): Statement<never> {
  // Without a condition, SQLite reads `on conflict` as a join's.
  const selected = sql`select ${sql.lit(kind)}, key, account_id, '{}', due_at from ${rows} as selected where true`;
  return sql<never>`${INSERT} ${selected} ${ENQUEUE_AGAIN}`;
}

interface CountedJobs {
  readonly kind: JobKind;
  readonly error: string | null;
  readonly oldest: Micros | null;
}

export type JobCounts = Awaited<ReturnType<Jobs['counts']>>[number];

/**
 * The jobs in the database. A worker claims a job by setting `due_at` to the end of its lease, so the job of a worker that dies
 * becomes due again.
 */
export class Jobs {
  readonly #db: Database;
  /** To be called after a transaction that has enqueued jobs. Set by the runner of this process. */
  wake = () => {};

  constructor(db: Database) {
    this.#db = db;
  }

  async add(jobs: readonly NewJob[]): Promise<void> {
    if (jobs.length === 0) return;
    await this.#db.transact({ isDurable: true }, ({ commit }) => commit(enqueue(jobs)));
    this.wake();
  }

  /** Enqueues jobs unless they wait or run already. */
  async ensure(jobs: readonly NewJob[]): Promise<void> {
    for (const chunk of rowChunksOf(jobs)) {
      await this.#db.run(sql`${valuesOf(chunk)} on conflict (kind, key) do nothing`);
    }
    if (jobs.length > 0) this.wake();
  }

  /** Deletes jobs that no worker has claimed since a time, because their machine is gone. */
  async deleteUnclaimed(kind: JobKind, { dueBy }: { dueBy: Micros }): Promise<void> {
    await this.#db.run(sql`delete from job where kind = ${kind} and due_at <= ${dueBy}`);
  }

  /** The owners of jobs of these kinds, in a time that does not grow with the jobs of an owner. */
  async owners(kinds: readonly JobKind[]): Promise<JobOwner[]> {
    const seeds = sql.join(
      kinds.map((kind) => sql`select ${sql.lit(kind)} as kind`),
      sql` union all `,
    );
    const owners = sql<{ kind: JobKind; account_id: string; due_at: number }>`
      with recursive owner(kind, account_id) as (
        select seed.kind, (select min(account_id) from job where job.kind = seed.kind) from (${seeds}) as seed
        union all
        select kind, (select min(account_id) from job where job.kind = owner.kind and job.account_id > owner.account_id)
        from owner where account_id is not null
      )
      select kind, account_id,
        (select min(due_at) from job where job.kind = owner.kind and job.account_id = owner.account_id) as due_at
      from owner where account_id is not null
    `;
    const [rows] = await this.#db.read([owners]);
    // An owner's jobs may end between the parts of the statement.
    return rows.flatMap(({ kind, account_id: accountId, due_at: dueAt }) =>
      dueAt === null ? [] : [{ kind, accountId, dueAt }],
    );
  }

  /** Claims the first due job of an owner; `undefined` if none is due. */
  async claim(
    { kind, accountId }: Omit<JobOwner, 'dueAt'>,
    { now, until, token }: { now: Micros; until: Micros; token: string },
  ): Promise<Job | undefined> {
    const due = sql`select key from job where kind = ${kind} and account_id = ${accountId} and due_at <= ${now}
      order by due_at, key limit 1 ${FOR_UPDATE} ${SKIP_LOCKED}`;
    const claim = sql<Schema['job']>`
      update job set lease = ${token}, due_at = ${until} where kind = ${kind} and key = (${due}) returning *`;
    const [[row]] = await this.#db.transact({ isDurable: false }, ({ commit }) => commit([claim]));
    return row && jobOf(row);
  }

  /** @returns false if the lease was lost */
  async renew(job: Job, until: Micros): Promise<boolean> {
    const [renewed] = await this.#change([sql`update job set due_at = ${until} where ${isHeld(job)} returning key`]);
    return renewed!.length > 0;
  }

  /** Ends a job, or makes it due if it was enqueued again meanwhile. */
  async finish(job: Job, now: Micros): Promise<void> {
    await this.#change([
      sql`delete from job where ${isHeld(job)} and generation = ${job.generation}`,
      sql`update job set lease = null, due_at = ${now} where ${isHeld(job)}`,
    ]);
  }

  /** Makes a claimed job due later, or at once if it was enqueued again meanwhile. */
  async postpone(job: Job, { now, dueAt }: { now: Micros; dueAt: Micros }): Promise<void> {
    const isSame = sql`generation = ${job.generation}`;
    const next = sql`case when ${isSame} then cast(${dueAt} as bigint) else cast(${now} as bigint) end`;
    await this.#change([
      sql`update job set lease = null, due_at = ${next}, failures = 0, error = null where ${isHeld(job)}`,
    ]);
  }

  async fail(job: Job, { dueAt, error }: { dueAt: Micros; error: string }): Promise<void> {
    await this.#change([
      sql`update job set lease = null, due_at = ${dueAt}, failures = failures + 1, error = ${error} where ${isHeld(job)}`,
    ]);
  }

  /** Makes all claimed jobs due. Only for a process that has the database alone: all leases belong to an earlier one. */
  async releaseAll(now: Micros): Promise<void> {
    await this.#change([sql`update job set lease = null, due_at = ${now} where lease is not null`]);
  }

  /** For the operator. `failed` counts jobs whose last attempt failed; `error` is one reason. */
  async counts() {
    const counts = sql<Record<'jobs' | 'running' | 'failed', number> & CountedJobs>`
      select kind, count(*) as jobs, count(lease) as running, count(error) as failed, max(error) as error,
        min(case when lease is null then due_at end) as oldest
      from job group by kind order by kind`;
    const [rows] = await this.#db.read([counts]);
    return rows.map(({ kind, jobs, running, failed, oldest, error }) => ({
      ...{ kind, waiting: Number(jobs) - Number(running), running: Number(running) },
      ...{ failed: Number(failed), oldestDueAt: oldest ?? undefined, error: error ?? undefined },
    }));
  }

  #change(statements: readonly Statement[]): Promise<unknown[][]> {
    return this.#db.transact({ isDurable: false }, ({ commit }) => commit(statements));
  }
}

function isHeld({ kind, key, lease }: Job) {
  return sql`kind = ${kind} and key = ${key} and lease = ${lease}`;
}

function jobOf(row: Selectable<Schema['job']>): Job {
  const { kind, key, account_id: accountId, generation, failures, error, lease } = row;
  const payload = JSON.parse(row.payload) as object;
  const attempts = { generation, failures, error: error ?? undefined };
  return { kind: kind as JobKind, key, accountId, payload, ...attempts, lease: lease ?? '' };
}
