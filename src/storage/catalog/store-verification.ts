import { sql } from 'kysely';
import { recordRecheck } from '../../dataset/upload-transitions.js';
import type { CompleteFile, Micros } from '../../dataset/dataset.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import type { Database } from '../database/database.js';
import type { Catalog } from './catalog.js';
import { judgePastFiles } from './file-changes.js';
import { enqueueSelected, INSTALLATION, type JobKind } from './jobs.js';
import { fileOf, pastFileOf } from './rows.js';
import { IS_STORED, inSnapshot, rowChunksOf, withDataset } from './statements.js';

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
  const { query } = db;
  // `union` has a restored file once.
  const jobs = sql<{ key: string; account_id: string; due_at: number }>`(
    select blob.id as key, ${sql.lit(INSTALLATION)} as account_id, cast(${now} as bigint) as due_at
    from (select id from file where state = 'stored' union select id from past_file) as blob
  )`;
  // A snapshot has no timeouts.
  await inSnapshot(db, (_, { commit }) => commit([enqueueSelected(query, VERIFY_JOB, jobs)]));
}

export async function blobsToVerify({ query }: Database): Promise<number> {
  const { jobs } = await query
    .selectFrom('job')
    .select(({ fn }) => fn.countAll().as('jobs'))
    .where('kind', '=', VERIFY_JOB)
    .executeTakeFirstOrThrow();
  return Number(jobs);
}

/** The stored or past file with this id. */
export async function fileWithBlob({ query, read }: Database, id: string): Promise<CompleteFile | undefined> {
  const [[stored], [past]] = await read([
    query.selectFrom('file').selectAll().where('id', '=', id).where('state', '=', IS_STORED),
    query.selectFrom('past_file').selectAll().where('id', '=', id).limit(1),
  ]);
  if (stored !== undefined) return fileOf(stored) as CompleteFile;
  return past && pastFileOf(past);
}

/** Records that the bytes of a file are lost, or intact again, in the dataset and in the history, from which it may be restored. */
export async function recordBytes(
  file: CompleteFile,
  problem: ErrorProblem | undefined,
  { catalog, database, now }: { catalog: Catalog; database: Database; now: () => Micros },
): Promise<void> {
  const { id, datasetId, filename, upload } = file;
  const { contentType, facts, warnings } = upload;
  const found =
    problem === undefined ? { ok: true as const, contentType, facts, warnings } : { ok: false as const, problem };
  const change = { datasetId, filenames: [filename], now: now(), isActivity: false };
  await catalog.change(change, (group) => recordRecheck(group, id, found));
  // The history comes second, since a file moves to it.
  const judged = [{ id, upload: problem === undefined ? {} : { problem } }];
  await withDataset(database, { id: datasetId }, (_, { commit }) => commit(judgePastFiles(database.query, judged)));
}

/** Stored and past files that have a problem, each once, by the name of their dataset and their own. */
export async function filesWithProblems({ query }: Database): Promise<FileWithProblem[]> {
  const found = new Map<string, FileWithProblem>();
  for (const table of ['file', 'past_file'] as const) {
    const rows = query
      // TypeScript can't type a query over a union of tables.
      .selectFrom(`${table as 'past_file'} as each`)
      .innerJoin('dataset', 'dataset.id', 'each.dataset_id')
      .selectAll('each')
      .select('dataset.name as dataset_name')
      .where(table === 'file' ? sql<boolean>`state = 'stored'` : sql<boolean>`true`)
      .where('each.problem', 'is not', null)
      .orderBy('dataset.name')
      .orderBy('each.filename');
    for (const { dataset_name: datasetName, ...row } of await rows.execute()) {
      const file = pastFileOf(row);
      const { problem } = file.upload;
      if (problem === undefined || found.has(file.id)) continue;
      found.set(file.id, { file, problem, datasetName, isPast: table === 'past_file' });
    }
  }
  return [...found.values()];
}

/** The datasets of files that may have a blob, by the id of the file. */
export async function datasetsOfBlobs({ query }: Database, fileIds: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const ids of rowChunksOf([...new Set(fileIds)])) {
    const files = query.selectFrom('file').select(['id', 'dataset_id']).where('state', '<>', 'rejected');
    const past = query.selectFrom('past_file').select(['id', 'dataset_id']);
    // One statement, since a file moves from one table to the other.
    const rows = await files
      .where('id', 'in', ids)
      .union(past.where('id', 'in', ids))
      .execute();
    for (const { id, dataset_id } of rows) found.set(id, dataset_id);
  }
  return found;
}
