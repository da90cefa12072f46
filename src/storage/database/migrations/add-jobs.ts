import { type Kysely, sql } from 'kysely';

/** The table of jobs, a part of `Schema`. */
export interface JobTables {
  /** Work that happens later. A job is deleted when it is done. */
  job: {
    /** A `JobKind`. */
    kind: string;
    /** What the job is about, such as the id of a file; unique for its kind. */
    key: string;
    /** Whose job it is; empty if it belongs to the installation. */
    account_id: string;
    /** JSON, as the handler of the kind reads it. */
    payload: string;
    /** From then on the job may be claimed. While a worker has claimed it: when its lease ends. */
    due_at: number;
    /** Grows each time the job is enqueued again, so that a worker does not delete one that became necessary meanwhile. */
    generation: number;
    /** Failed attempts since it was enqueued or last succeeded. */
    failures: number;
    /** Why the last attempt failed, for the operator. */
    error: string | null;
    /** The worker that has claimed the job; null while it waits. */
    lease: string | null;
  };
}

export async function addJobs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('job')
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addColumn('generation', 'bigint', (c) => c.notNull().defaultTo(0))
    .addColumn('failures', 'bigint', (c) => c.notNull().defaultTo(0))
    .addColumn('error', 'text')
    .addColumn('lease', 'text')
    .addPrimaryKeyConstraint('job_key', ['kind', 'key'])
    .execute();
  // The jobs of an account that are due first; and the accounts of a kind, one after the other, however many jobs each has.
  await db.schema.createIndex('job_due').on('job').columns(['kind', 'account_id', 'due_at', 'key']).execute();
  await db.schema
    .createIndex('job_leased')
    .on('job')
    .columns(['lease'])
    .where(sql<boolean>`lease is not null`)
    .execute();
}
