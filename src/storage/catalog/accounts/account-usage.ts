import { type RawBuilder, sql } from 'kysely';
import type { Micros, PendingFile } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import { stemOf } from '../../../dataset/media.js';
import type { Usage } from '../../../dataset/counts.js';
import { nullColumnOf, query } from '../../database/database.js';
import { IS_PENDING } from '../statements.js';

export interface AccountUsage extends Usage {
  readonly datasets: number;
}

/** The limits of an account and of a dataset. */
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

/** Limits that no person reaches. The limit of bytes is a setting. */
export const MAX_ACCOUNT_DATASETS = 100_000;
export const MAX_ACCOUNT_FILES = 10_000_000;

/**
 * Adds to the totals of an account. A total that grows beyond its limit becomes null, which the column rejects, so that the
 * transaction fails. Run it after the lock of a dataset: transactions lock in one order.
 *
 * @param change.historyBytes have no limit here: retention deletes the oldest revisions
 */
export function addUsage(change: {
  accountId: string;
  added: Partial<AccountUsage>;
  historyBytes?: number;
  limits: AccountLimits;
}) {
  const { accountId, added, historyBytes = 0, limits } = change;
  const { datasets = 0, files = 0, bytes = 0 } = added;
  if (datasets === 0 && files === 0 && bytes === 0 && historyBytes === 0) return [];
  const update = sql<never>`
    update account set
      datasets = ${increased('datasets', datasets, limits.datasets)},
      files = ${increased('files', files, limits.files)},
      bytes = ${increased('bytes', bytes, limits.bytes)},
      history_bytes = history_bytes + ${bigint(historyBytes)}
    where id = ${accountId}`;
  return [update];
}

function increased(column: keyof AccountUsage, added: number, max: number) {
  const total = sql`${sql.ref(column)} + ${bigint(added)}`;
  return sql<number>`case when ${bigint(added)} > 0 and ${total} > ${bigint(max)} then null else ${total} end`;
}

/** Postgres can't infer the type of a parameter that is only compared. */
function bigint(value: number) {
  return sql`cast(${value} as bigint)`;
}

/** Counts the name of a direct upload unless the dataset has it; fails as `addUsage`, also without a byte left. */
export function addDirectUpload({
  accountId,
  file,
  limits,
}: {
  accountId: string;
  file: PendingFile;
  limits: AccountLimits;
}) {
  const { datasetId, filename } = file;
  return sql<never>`
    update account set
      files = case when files >= ${bigint(limits.files)} then null else files + 1 end,
      bytes = case when bytes >= ${bigint(limits.bytes)} then null else bytes end
    where id = ${accountId}
      and exists (select 1 from dataset where id = ${datasetId} and account_id = ${accountId})
      and not exists (
        select 1 from file where dataset_id = ${datasetId} and stem = ${stemOf(filename)} and filename = ${filename}
      )`;
}

/** What a dataset adds to the totals of its account. */
export function usageOfDataset(id: string) {
  const select = sql<{ files: number; bytes: number; historyBytes: number }>`
    select count(*) as files, cast(coalesce(sum(name.bytes), 0) as bigint) as bytes,
      cast((${historyBytesOf(sql`past_file.dataset_id = ${id}`)}) as bigint) as "historyBytes"
    from (
      select max(coalesce(size_bytes, expected_bytes, 0)) as bytes from file where dataset_id = ${id} group by filename
    ) as name`;
  return select;
}

/** The size of the blobs that only the history has. */
export function historyBytesOf(condition: RawBuilder<unknown>) {
  return sql<number>`
    select coalesce(sum(past.size_bytes), 0) from (
      select distinct id, size_bytes from past_file
      where ${condition} and not exists (select 1 from file where file.id = past_file.id)
    ) as past
  `;
}

/** Uploads whose links expired before their bytes arrived, and that still count. */
export function expiredReservations(now: Micros) {
  return query
    .selectFrom('file')
    .select(['dataset_id', 'filename'])
    .where('state', '=', IS_PENDING)
    .where('live_until', '<=', now)
    .where('via', '=', 'link')
    .where('expected_bytes', '>', 0);
}

export function datasetFull({ files, added, max }: { files: number; added: number; max: number }): ServiceError {
  const more = added === 1 ? 'one more' : `${added} more`;
  const advice = 'Delete files or withdraw uploads that are no longer needed, or upload the others to another dataset.';
  const message = `The dataset has ${files} files, and ${more} would exceed the limit of ${max} files of a dataset (--max-dataset-files). ${advice}`;
  return new ServiceError('quota_exceeded', message);
}

/** The error for an exceeded total of an account; other errors are returned unchanged. */
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
