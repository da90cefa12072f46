import { sql } from 'kysely';
import { recordRecheck } from '../../dataset/check-transitions.js';
import type { CompleteFile, DatasetFile, Micros } from '../../dataset/dataset.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import type { Database, Query } from '../database/database.js';
import type { Catalog } from './catalog.js';
import { inSnapshot } from './catalog-rows.js';
import { judgePastFiles } from './history/record-history.js';
import { INSTALLATION, insertJobs, type JobKind } from './jobs.js';
import { fileOf, pastFileOf } from './rows.js';
import { IS_LIVE, IS_STORED, rowChunksOf, rowsOf, withDataset } from './statements.js';

/** The jobs of a verification of the store: one for each blob, with the id of the file as key. */
export const VERIFY_JOB = 'verify-blob' satisfies JobKind;

/** A file whose blob a verification reads: stored, or in the history alone. */
export interface FileWithProblem {
  readonly file: CompleteFile;
  readonly problem: ErrorProblem;
  readonly datasetName: string;
  /** True if only earlier revisions of the dataset have the file. */
  readonly isPast: boolean;
}

/** Enqueues the verification of all blobs of stored and past files, in one transaction. */
export async function enqueueVerification(db: Database, now: Micros): Promise<void> {
  const { query } = db;
  const stored = query
    .selectFrom('file')
    .innerJoin('dataset', 'dataset.id', 'file.dataset_id')
    .select('file.id')
    .where(IS_LIVE)
    .where('file.state', '=', IS_STORED);
  const past = query
    .selectFrom('past_file')
    .innerJoin('dataset', 'dataset.id', 'past_file.dataset_id')
    .select('past_file.id')
    .where(IS_LIVE);
  // A file that was restored is in both; `union` has it once.
  const blobs = query.selectFrom(stored.union(past).as('blob'));
  const keys = blobs.select(['blob.id as key', sql.lit(INSTALLATION).as('account_id')]);
  const enqueue = insertJobs(query, { kind: VERIFY_JOB, keys, dueAt: now }).onConflict((conflict) =>
    conflict.columns(['kind', 'key']).doNothing(),
  );
  // On Postgres, a snapshot has no timeouts.
  await inSnapshot(db, (_, { commit }) => commit([enqueue]));
}

/** The number of blobs that are still to be verified. */
export async function blobsToVerify({ query }: Database): Promise<number> {
  const { jobs } = await query
    .selectFrom('job')
    .select(({ fn }) => fn.countAll().as('jobs'))
    .where('kind', '=', VERIFY_JOB)
    .executeTakeFirstOrThrow();
  return Number(jobs);
}

/** The stored or past file with this id; `undefined` if neither a dataset nor its history has it any more. */
export async function fileWithBlob({ query }: Database, id: string): Promise<CompleteFile | undefined> {
  const select = query.selectFrom('file').selectAll().where('id', '=', id).where('state', '=', IS_STORED);
  const row = await select.executeTakeFirst();
  if (row !== undefined) return fileOf(row) as CompleteFile;
  // After the files: a file moves from them to the history.
  const past = await query.selectFrom('past_file').selectAll().where('id', '=', id).limit(1).executeTakeFirst();
  return past && pastFileOf(past);
}

/** Records that the bytes of a stored or past file are lost, which makes its dataset FAILED, or that they are intact again. */
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
  // After the files: a file moves from them to the history.
  await judgePastFile(database, id, problem);
}

/**
 * Records in the history that the bytes of a file are lost, or intact again, so that the file has this problem also when it is
 * restored, and its revisions are READY no longer.
 */
export async function judgePastFile(db: Database, id: string, problem: ErrorProblem | undefined): Promise<void> {
  const datasetId = (await pastDatasetIds(db, [id])).get(id);
  if (datasetId === undefined) return;
  const upload = problem === undefined ? {} : { problem };
  await withDataset(db, { id: datasetId }, (_, { commit }) => commit(judgePastFiles(db.query, [{ id, upload }])));
}

/** The stored and past files that have a problem, by the name of their dataset and their own; each once. */
export async function filesWithProblems({ query }: Database): Promise<FileWithProblem[]> {
  const stored = await query
    .selectFrom('file')
    .innerJoin('dataset', 'dataset.id', 'file.dataset_id')
    .selectAll('file')
    .select('dataset.name as dataset_name')
    .where(IS_LIVE)
    .where('file.state', '=', IS_STORED)
    .where('file.problem', 'is not', null)
    .orderBy('dataset.name')
    .orderBy('file.filename')
    .execute();
  const past = new Map((await pastRowsWithProblems(query)).map((row) => [row.id, row]));
  return [
    ...stored.map(({ dataset_name, ...row }) => ({ file: fileOf(row) as CompleteFile, dataset_name, isPast: false })),
    ...[...past.values()].map(({ dataset_name, ...row }) => ({ file: pastFileOf(row), dataset_name, isPast: true })),
  ].flatMap(({ file, dataset_name: datasetName, isPast }) => {
    const { problem } = file.upload as { problem?: ErrorProblem };
    return problem === undefined ? [] : [{ file, problem, datasetName, isPast }];
  });
}

function pastRowsWithProblems(query: Query) {
  return query
    .selectFrom('past_file')
    .innerJoin('dataset', 'dataset.id', 'past_file.dataset_id')
    .selectAll('past_file')
    .select('dataset.name as dataset_name')
    .where(IS_LIVE)
    .where('past_file.problem', 'is not', null)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('file').select('file.id').whereRef('file.id', '=', 'past_file.id'))),
    )
    .orderBy('dataset.name')
    .orderBy('past_file.filename')
    .execute();
}

/** The dataset of each of these files that the history has, by the id of the file. */
export async function pastDatasetIds({ query }: Database, ids: readonly string[]): Promise<Map<string, string>> {
  const past = query.selectFrom('past_file').select(['id', 'dataset_id']);
  const rows = await rowsOf(rowChunksOf(ids).map((chunk) => past.where('id', 'in', chunk)));
  return new Map(rows.map(({ id, dataset_id }) => [id, dataset_id]));
}

/** The files in any state that have one of these ids, by id. */
export async function filesById({ query }: Database, ids: readonly string[]): Promise<Map<string, DatasetFile>> {
  const files = query.selectFrom('file').selectAll();
  const rows = await rowsOf(rowChunksOf(ids).map((chunk) => files.where('id', 'in', chunk)));
  return new Map(rows.map((row) => [row.id, fileOf(row)]));
}

/** The keys in the trash that end with one of these ids of files. */
export async function trashOf({ query }: Database, fileIds: readonly string[]): Promise<Set<string>> {
  const [length = 0] = fileIds.map((id) => id.length);
  // Both databases have these functions; a folder does not know the id of the dataset, with which keys begin.
  const fileId = sql<string>`substr(blob_key, length(blob_key) - ${sql.lit(length - 1)})`;
  const trash = query.selectFrom('trash').select('blob_key');
  const rows = await rowsOf(rowChunksOf(fileIds).map((chunk) => trash.where(fileId, 'in', chunk)));
  return new Set(rows.map(({ blob_key }) => blob_key));
}
