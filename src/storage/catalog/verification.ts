import { sql } from 'kysely';
import type { CompleteFile, Micros, StoredFile } from '../../dataset/dataset.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import { type Database, query, type Statement } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { enqueueSelected, INSTALLATION, type JobKind } from './jobs.js';
import { fileOf, type FileRow, inSnapshot, type PastFileRow, pastFileOf, rowChunksOf, storedAfter } from './rows.js';

/** Each file has a job with the key `<id of the dataset>/<id of the file>`. */
export const RECHECK_JOB = 'inspect-again' satisfies JobKind;

/**
 * The last recheck of a dataset, which compares its stored files with their SHA-256 and inspects them again. Its progress is the
 * count of its jobs.
 */
export async function recheckOf({ read }: Database, datasetId: string) {
  const recheck = sql<Pick<Schema['recheck'], 'started_at' | 'total' | 'checked_at'> & { remaining: number }>`
    select recheck.started_at, recheck.total, recheck.checked_at,
      (select count(*) from job where ${isJobOfDataset}) as remaining
    from recheck join dataset on dataset.id = recheck.dataset_id where recheck.dataset_id = ${datasetId}`;
  const [[row]] = await read([recheck]);
  if (row === undefined) return undefined;
  const { started_at: startedAt, total } = row;
  const remaining = Number(row.remaining);
  /** `null` while it runs. */
  const finishedAt = remaining > 0 ? null : (row.checked_at ?? startedAt);
  return { startedAt, total, remaining, finishedAt };
}

/** Records when a file was checked, before its job ends. */
export async function recordCheck({ transact }: Database, datasetId: string, now: Micros): Promise<void> {
  const update = sql`update recheck set checked_at = ${now} where dataset_id = ${datasetId}`;
  await transact({ isDurable: false }, ({ commit }) => commit([update]));
}

/** The stored files of a dataset that have a problem, by name, at most `limit`. */
export async function damagedFiles({ run }: Database, datasetId: string, limit: number): Promise<StoredFile[]> {
  const files = storedAfter({ datasetId, after: '', limit }).where('problem', 'is not', null);
  return (await run(files)).map((row) => fileOf(row) as StoredFile);
}

/** An account has few such jobs, and an index lists them. */
const isJobOfDataset = sql<boolean>`job.kind = ${sql.lit(RECHECK_JOB)} and job.account_id = dataset.account_id
  and job.key like dataset.id || '/%'`;

/** The statements that start a recheck of all stored files, under the lock of the dataset. @param options.ifRunning if one runs */
export function startRecheck({
  datasetId,
  now,
  ifRunning,
}: {
  datasetId: string;
  now: Micros;
  ifRunning: 'restart' | 'continue';
}): Statement[] {
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
  return [recheck, enqueueSelected(RECHECK_JOB, jobs)];
}

/** The statement that ends the recheck of a dataset, for the transaction that deletes it: a decode that runs loses its lease. */
export function endRecheck({ id, accountId }: { id: string; accountId: string }) {
  const jobs = query.deleteFrom('job').where('kind', '=', RECHECK_JOB).where('account_id', '=', accountId);
  return jobs.where('key', 'like', `${id}/%`);
}

/** Each blob has a job with the id of its file as key. */
export const VERIFY_JOB = 'verify-blob' satisfies JobKind;

export interface FileWithProblem {
  readonly file: CompleteFile;
  readonly problem: ErrorProblem;
  readonly datasetName: string;
  /** Whether only earlier revisions have the file. */
  readonly isPast: boolean;
}

export async function enqueueVerification(db: Database, now: Micros): Promise<void> {
  // `union` has a restored file once.
  const jobs = sql<{ key: string; account_id: string; due_at: number }>`(
    select blob.id as key, ${sql.lit(INSTALLATION)} as account_id, cast(${now} as bigint) as due_at
    from (select id from file where state = 'stored' union select id from past_file) as blob
  )`;
  // A snapshot has no timeouts.
  await inSnapshot(db, (_, { commit }) => commit([enqueueSelected(VERIFY_JOB, jobs)]));
}

export async function blobsToVerify({ read }: Database): Promise<number> {
  const [[row]] = await read([sql<{ jobs: number }>`select count(*) as jobs from job where kind = ${VERIFY_JOB}`]);
  return Number(row?.jobs);
}

/** The stored or past file with this id. */
export async function fileWithBlob({ read }: Database, id: string): Promise<CompleteFile | undefined> {
  const [[stored], [past]] = await read([
    sql<FileRow>`select * from file where id = ${id} and state = 'stored'`,
    sql<PastFileRow>`select * from past_file where id = ${id} limit 1`,
  ]);
  if (stored !== undefined) return fileOf(stored) as CompleteFile;
  return past && pastFileOf(past);
}

/** Stored and past files that have a problem, each once, by the name of their dataset and their own. */
export async function filesWithProblems({ read }: Database): Promise<FileWithProblem[]> {
  const found = new Map<string, FileWithProblem>();
  for (const table of ['file', 'past_file'] as const) {
    const [rows] = await read([
      sql<PastFileRow & { dataset_name: string }>`
        select each.*, dataset.name as dataset_name from ${sql.table(table)} as each
        join dataset on dataset.id = each.dataset_id
        where each.problem is not null ${table === 'file' ? sql`and state = 'stored'` : sql``}
        order by dataset.name, each.filename`,
    ]);
    for (const { dataset_name: datasetName, ...row } of rows) {
      const file = pastFileOf(row);
      const { problem } = file.upload;
      if (problem === undefined || found.has(file.id)) continue;
      found.set(file.id, { file, problem, datasetName, isPast: table === 'past_file' });
    }
  }
  return [...found.values()];
}

/** The datasets of files that may have a blob, by the id of the file. @param options.withTrash also of blobs in the trash, all of which is read */
export async function datasetsOfBlobs(
  { run }: Database,
  fileIds: readonly string[],
  { withTrash = false } = {},
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const ids of rowChunksOf([...new Set(fileIds)])) {
    const isWanted = sql`in (${sql.join(ids)})`;
    // As `blobKeyOf` writes them: each id has 32 characters.
    const [fileId, datasetId] = [sql`substr(blob_key, 34)`, sql`substr(blob_key, 1, 32)`];
    const trashed = sql`union select ${fileId}, ${datasetId} from trash where ${fileId} ${isWanted}`;
    // One statement, since a file moves from one table to the other.
    const ofFiles = sql<{ id: string; dataset_id: string }>`
      select id, dataset_id from file where state <> 'rejected' and id ${isWanted}
      union select id, dataset_id from past_file where id ${isWanted} ${withTrash ? trashed : sql``}`;
    for (const { id, dataset_id } of await run(ofFiles)) found.set(id, dataset_id);
  }
  return found;
}
