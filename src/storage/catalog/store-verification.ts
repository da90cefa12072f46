import { sql } from 'kysely';
import type { CompleteFile, Micros } from '../../dataset/dataset.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import type { Database, Query } from '../database/database.js';
import { pastDatasetIds } from './blob-references.js';
import { inSnapshot } from './catalog-rows.js';
import { judgePastFiles } from './history/record-history.js';
import { pastFileOf } from './history/revision-rows.js';
import { INSTALLATION, type JobKind } from './jobs.js';
import { fileOf } from './rows.js';
import { datasetById, IS_LIVE, IS_STORED, lockedDatasetById } from './statements.js';

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
  const enqueue = query
    .insertInto('job')
    .columns(['kind', 'key', 'account_id', 'payload', 'due_at'])
    .expression(
      blobs
        .select([
          sql.lit(VERIFY_JOB).as('kind'),
          'blob.id',
          sql.lit(INSTALLATION).as('account_id'),
          sql.lit('{}').as('payload'),
          sql.lit(now).as('due_at'),
        ])
        // Without a condition, SQLite reads `on conflict` as that of a join.
        .where(sql<boolean>`true`),
    )
    .onConflict((conflict) => conflict.columns(['kind', 'key']).doNothing());
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

/**
 * Records in the history that the bytes of a file are lost, or intact again, so that the file has this problem also when it is
 * restored, and its revisions are READY no longer.
 */
export async function judgePastFile(db: Database, id: string, problem: ErrorProblem | undefined): Promise<void> {
  const { query, hasRowLocks, transact } = db;
  const datasetId = (await pastDatasetIds(db, [id])).get(id);
  if (datasetId === undefined) return;
  const upload = problem === undefined ? {} : { problem };
  await transact({ isDurable: true }, async ({ send, commit }) => {
    await send([(hasRowLocks ? lockedDatasetById : datasetById)(query, { id: datasetId })]);
    await commit(judgePastFiles(query, datasetId, [{ id, upload }]));
  });
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
