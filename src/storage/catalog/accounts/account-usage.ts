import { type RawBuilder, sql } from 'kysely';
import type { Micros, PendingFile } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import { stemOf } from '../../../dataset/media.js';
import type { Usage } from '../../../dataset/counts.js';
import { nullColumnOf, type Query } from '../../database/database.js';
import { type ParameterOf, preparedStatement } from '../../database/prepared-statement.js';
import { IS_PENDING } from '../statements.js';

/** The totals of an account. */
export interface AccountUsage extends Usage {
  readonly datasets: number;
}

/** The largest totals of one account, and of one dataset. */
export interface AccountLimits extends AccountUsage {
  readonly datasetFiles: number;
}

const UNLIMITED = Number.MAX_SAFE_INTEGER;

export const NO_LIMITS: AccountLimits = {
  datasets: UNLIMITED,
  files: UNLIMITED,
  bytes: UNLIMITED,
  datasetFiles: UNLIMITED,
};

/** Limits that keep the catalog in bounds, and that no person reaches. The limit of bytes is a setting. */
export const MAX_ACCOUNT_DATASETS = 100_000;
export const MAX_ACCOUNT_FILES = 10_000_000;

interface Change {
  readonly accountId: string;
  /** May be negative. */
  readonly added: Partial<AccountUsage>;
  /** Added to the bytes of the history, which have no limit here: retention deletes the oldest revisions. */
  readonly historyBytes?: number;
  readonly limits: AccountLimits;
}

/**
 * Adds to the totals of an account, within the transaction that changes its files. The statement fails, and so aborts the
 * transaction, if a total that grows would exceed its limit: it then becomes null, which the column rejects. It comes after
 * the statement that locks the row of a dataset, so that transactions lock in one order.
 */
export function addUsage(query: Query, { accountId, added, historyBytes = 0, limits }: Change) {
  const { datasets = 0, files = 0, bytes = 0 } = added;
  if (datasets === 0 && files === 0 && bytes === 0 && historyBytes === 0) return [];
  const maxima = { maxDatasets: limits.datasets, maxFiles: limits.files, maxBytes: limits.bytes };
  return [updateUsage(query, { accountId, datasets, files, bytes, historyBytes, ...maxima })];
}

const updateUsage = preparedStatement(
  (
    query,
    parameter: ParameterOf<
      AccountUsage & {
        accountId: string;
        historyBytes: number;
        maxDatasets: number;
        maxFiles: number;
        maxBytes: number;
      }
    >,
  ) =>
    query
      .updateTable('account')
      .set({
        datasets: increased('datasets', parameter('datasets'), parameter('maxDatasets')),
        files: increased('files', parameter('files'), parameter('maxFiles')),
        bytes: increased('bytes', parameter('bytes'), parameter('maxBytes')),
        history_bytes: sql<number>`history_bytes + ${bigint(parameter('historyBytes'))}`,
      })
      .where('id', '=', parameter('accountId')),
);

function increased(column: keyof AccountUsage, added: number, max: number) {
  const total = sql`${sql.ref(column)} + ${bigint(added)}`;
  return sql<number>`case when ${bigint(added)} > 0 and ${total} > ${bigint(max)} then null else ${total} end`;
}

/** Postgres can't infer the type of a parameter that is only compared. */
function bigint(value: number) {
  return sql`cast(${value} as bigint)`;
}

/**
 * Adds the name of a direct upload to the totals, unless its dataset has that name already. Fails as `addUsage` does, also if
 * the account has no byte left. The size of the file counts once it is known.
 */
export function addDirectUpload(
  query: Query,
  { accountId, file, limits }: { accountId: string; file: PendingFile; limits: AccountLimits },
) {
  const { datasetId, filename } = file;
  const stem = stemOf(filename);
  return updateForDirectUpload(query, {
    accountId,
    datasetId,
    filename,
    stem,
    maxFiles: limits.files,
    maxBytes: limits.bytes,
  });
}

const updateForDirectUpload = preparedStatement(
  (
    query,
    parameter: ParameterOf<{
      accountId: string;
      datasetId: string;
      filename: string;
      stem: string;
      maxFiles: number;
      maxBytes: number;
    }>,
  ) => {
    const dataset = query
      .selectFrom('dataset')
      .select('id')
      .where('id', '=', parameter('datasetId'))
      .where('account_id', '=', parameter('accountId'));
    const sameName = query
      .selectFrom('file')
      .select('id')
      .where('dataset_id', '=', parameter('datasetId'))
      .where('stem', '=', parameter('stem'))
      .where('filename', '=', parameter('filename'));
    return query
      .updateTable('account')
      .set({
        files: sql<number>`case when files >= ${bigint(parameter('maxFiles'))} then null else files + 1 end`,
        bytes: sql<number>`case when bytes >= ${bigint(parameter('maxBytes'))} then null else bytes end`,
      })
      .where('id', '=', parameter('accountId'))
      .where(({ exists }) => exists(dataset))
      .where(({ exists, not }) => not(exists(sameName)));
  },
);

/** Selects what a dataset adds to the totals of its account. */
export function usageOfDataset(query: Query, id: string) {
  const names = query
    .selectFrom('file')
    .select(sql<number>`max(coalesce(size_bytes, expected_bytes, 0))`.as('bytes'))
    .where('dataset_id', '=', id)
    .groupBy('filename')
    .as('name');
  const historyBytes = historyBytesOf(sql`past_file.dataset_id = ${id}`);
  return query
    .selectFrom(names)
    .select(({ fn }) => [
      fn.countAll<number>().as('files'),
      sql<number>`cast(coalesce(sum(name.bytes), 0) as bigint)`.as('bytes'),
      sql<number>`cast((${historyBytes}) as bigint)`.as('historyBytes'),
    ]);
}

/** The size of the blobs that only the history names, among the past files of a condition. */
export function historyBytesOf(condition: RawBuilder<unknown>) {
  return sql<number>`
    select coalesce(sum(past.size_bytes), 0) from (
      select distinct id, size_bytes from past_file
      where ${condition} and not exists (select 1 from file where file.id = past_file.id)
    ) as past
  `;
}

/** Selects names of uploads by links that expired before their bytes arrived, and still count. */
export function expiredReservations(query: Query, now: Micros) {
  return query
    .selectFrom('file')
    .select(['dataset_id', 'filename'])
    .where('state', '=', IS_PENDING)
    .where('live_until', '<=', now)
    .where('via', '=', 'link')
    .where('expected_bytes', '>', 0);
}

/** The error to answer with if new files would exceed the limit of their dataset, which has `files` now. */
export function datasetFull({ files, added, max }: { files: number; added: number; max: number }): ServiceError {
  const more = added === 1 ? 'one more' : `${added} more`;
  const advice = 'Delete files or withdraw uploads that are no longer needed, or upload the others to another dataset.';
  const message = `The dataset has ${files} files, and ${more} would exceed the limit of ${max} files of a dataset (--max-dataset-files). ${advice}`;
  return new ServiceError('quota_exceeded', message);
}

/** The error to answer with if a total of an account would have exceeded its limit; otherwise the error itself. */
export function quotaErrorOf(error: unknown, limits: AccountLimits): unknown {
  const total = exceededTotal(error);
  if (total === undefined) return error;
  const advice =
    total === 'bytes'
      ? 'Delete files that are no longer needed, withdraw uploads that never ended, or ask the operator of this server for more.'
      : 'Delete some that are no longer needed, or ask the operator of this server for more.';
  const limit = `${limits[total]} ${total}${total === 'bytes' ? ' (--account-bytes)' : ''}`;
  const message = `The account has reached its limit of ${limit}. ${advice}`;
  return new ServiceError('quota_exceeded', message, { cause: error });
}

function exceededTotal(error: unknown): keyof AccountUsage | undefined {
  const [table, column] = nullColumnOf(error)?.split('.') ?? [];
  return table === 'account' && (column === 'datasets' || column === 'files' || column === 'bytes')
    ? column
    : undefined;
}
