import { sql } from 'kysely';
import type { Micros } from '../../../dataset/dataset.js';
import type { Database } from '../../database/database.js';
import { ROWS_PER_STATEMENT, withDataset } from '../rows.js';
import { trashSelected } from '../file-changes.js';

/** The latest revisions of a dataset are kept, however old, unless the history is off. */
const KEPT_HOWEVER_OLD = 20;

export interface RetentionOptions {
  /** How long a revision is kept after its last change; 0 keeps only the latest and pinned ones. */
  readonly lifetime: Micros;
  /** Beyond it, the oldest revisions of an account are deleted earlier. */
  readonly maxBytes: number;
  /** How long a blob stays readable after its last revision. */
  readonly blobGrace: Micros;
}

interface RevisionKey {
  readonly dataset_id: string;
  readonly number: number;
}

const UNPINNED = sql`select revision.dataset_id, revision.number
  from revision join dataset on dataset.id = revision.dataset_id where pinned_at is null`;

/**
 * Deletes revisions, except the latest and pinned ones, and the past files that only they have. Stops early if the signal fires.
 */
export async function pruneHistory(
  db: Database,
  { lifetime, maxBytes, blobGrace, now, signal }: RetentionOptions & { now: Micros; signal?: AbortSignal },
): Promise<void> {
  const kept = lifetime === 0 ? 1 : KEPT_HOWEVER_OLD;
  const isExpired = sql`revision.number <= dataset.revision - ${sql.lit(kept)} and changed_at <= ${now - lifetime}`;
  // Only the oldest unpinned revision of each dataset is read, since it expires first.
  const [datasets] = await db.read([
    sql<{ id: string }>`
      select dataset.id from dataset join revision on revision.dataset_id = dataset.id and revision.number = (
        select min(number) from revision as other where other.dataset_id = dataset.id and other.pinned_at is null
      ) where dataset.revision > ${kept} and ${isExpired}`,
  ]);
  for (const { id } of datasets) {
    const [expired] = await db.read([sql<RevisionKey>`${UNPINNED} and dataset_id = ${id} and ${isExpired}`]);
    for (const revision of expired) {
      if (signal?.aborted) return;
      await deleteRevision(db, revision, now + blobGrace);
    }
  }
  const overfull = sql<{ id: string }>`select id from account where history_bytes > ${maxBytes}`;
  const [accounts] = await db.read([overfull]);
  for (const { id } of accounts) {
    const [oldest] = await db.read([
      sql<RevisionKey>`${UNPINNED} and account_id = ${id} and revision.number < dataset.revision
        order by changed_at limit ${sql.lit(ROWS_PER_STATEMENT)}`,
    ]);
    for (const revision of oldest) {
      const [[account]] = await db.read([sql`${overfull} and id = ${id}`]);
      if (account === undefined || signal?.aborted) break;
      await deleteRevision(db, revision, now + blobGrace);
    }
  }
}

/**
 * Deletes a revision and past files added after the kept revision before and removed by the kept one after, which no kept revision
 * has. A change of files, and a pin, takes the same lock.
 */
async function deleteRevision(
  db: Database,
  { dataset_id: datasetId, number }: RevisionKey,
  deleteAfter: Micros,
): Promise<void> {
  await withDataset(db, { id: datasetId }, async (dataset, { send, commit }) => {
    const others = sql`from revision where dataset_id = ${datasetId} and number`;
    const [[revision], [before], [after]] = await send([
      sql`select number ${others} = ${number} and pinned_at is null`,
      sql<{ number: number | null }>`select max(number) as number ${others} < ${number}`,
      sql<{ number: number | null }>`select min(number) as number ${others} > ${number}`,
    ]);
    if (revision === undefined || after?.number == null) return;
    const [from, to] = [before?.number ?? -1, after.number];
    const isUnneeded = (table: string) => {
      const [removedIn, addedIn] = [sql.ref(`${table}.removed_in`), sql.ref(`${table}.added_in`)];
      return sql`${removedIn} > ${from} and ${removedIn} <= ${to} and ${addedIn} > ${from}`;
    };
    // A restored file may be here several times.
    const blobs = sql<{ dataset_id: string; id: string }>`(
      select dataset_id, id, max(size_bytes) as size_bytes from past_file
      where dataset_id = ${datasetId} and ${isUnneeded('past_file')}
        and not exists (select 1 from file where file.id = past_file.id)
        and not exists (select 1 from past_file as other where other.id = past_file.id and not (${isUnneeded('other')}))
      group by dataset_id, id
    )`;
    const freed = sql`(select coalesce(sum(size_bytes), 0) from ${blobs} as blob)`;
    await commit([
      sql`update account set history_bytes = history_bytes - ${freed} where id = ${dataset.account_id}`,
      trashSelected(blobs, deleteAfter),
      sql`delete from past_file where dataset_id = ${datasetId} and ${isUnneeded('past_file')}`,
      sql`delete ${others} = ${number}`,
    ]);
  });
}
