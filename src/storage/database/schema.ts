import { type Kysely, type Migration, sql } from 'kysely';
import { addFileIndexes, indexBackgroundReads, indexReceived } from './migrations/add-file-indexes.js';
import { addHistory } from './migrations/add-history.js';
import { addJobs, type JobTables } from './migrations/add-jobs.js';
import { addLinkUntil } from './migrations/add-link-until.js';
import { addLinks, type LinkTables } from './migrations/add-links.js';
import { addReadinessVersion } from './migrations/add-readiness-version.js';
import { addTokenKinds, indexTokensOfAccounts } from './migrations/add-token-kinds.js';
import { addVersion } from './migrations/add-version.js';
import { addWebhooks, type WebhookTables } from './migrations/add-webhooks.js';
import { createInitialTables } from './migrations/create-initial-tables.js';
import { enqueueBackgroundWork } from './migrations/enqueue-background-work.js';
import { indexAddedIn } from './migrations/index-added-in.js';
import { indexAnnouncements } from './migrations/index-announcements.js';
import { indexDatasetName } from './migrations/index-dataset-name.js';
import { indexPresigned } from './migrations/index-presigned.js';
import { makeOutbox } from './migrations/make-outbox.js';
import { moveRechecksToJobs } from './migrations/move-rechecks-to-jobs.js';

/**
 * The tables. Times are microseconds since 1970 UTC; JSON is stored as text. Some columns keep older names: `settled_at`
 * is `finalizedAt`, `promised_bytes` is `expectedBytes`, `arriving_until` and `arriving_by` are `leaseUntil` and
 * `leaseToken`, `alive_until` is `liveUntil(upload)`.
 */
export interface Schema extends WebhookTables, LinkTables, JobTables {
  account: {
    id: string;
    name: string;
    created_at: number;
    /** Sums over the account's datasets, as `usageOf` counts them; they move in the transaction that changes the files. */
    datasets: number;
    files: number;
    bytes: number;
    /** The size of the blobs that only the history of the account's datasets names. */
    history_bytes: number;
  };
  token: {
    id: string;
    account_id: string;
    /** SHA-256 of the token, hexadecimal; the token itself is not stored. */
    digest: string;
    /** The first characters of the token, by which a person recognizes it. */
    hint: string;
    /** Given by the person who made it, such as the machine that uses it. */
    name: string | null;
    created_at: number;
    revoked_at: number | null;
    expires_at: number | null;
    /** 1 if the token only reads. */
    is_read_only: number;
    /** The ids of the datasets that the token is bound to, as a JSON array; null if it is bound to none. */
    dataset_ids: string | null;
    /** Behind by up to a minute. */
    last_used_at: number | null;
    /** A `TokenKind`. */
    kind: string;
    /** The token that made this one, which is not valid without it; null for one that the operator made. */
    parent_id: string | null;
  };
  dataset: {
    id: string;
    account_id: string;
    name: string;
    created_at: number;
    /** The last time that an upload was reserved or finalized, or a file was removed. */
    updated_at: number;
    pending: number;
    pending_until: number | null;
    rejected: number;
    images: number;
    videos: number;
    captions: number;
    trainable: number;
    /** Also of a control or mask, which needs no captions. */
    uncaptioned: number;
    collisions: number;
    bytes: number;
    received: number;
    /** The number of the latest revision; 0 if no file was ever stored. */
    revision: number;
    /** Changes of this group still join the latest revision; null if it is closed. */
    revision_group: string | null;
    /** When the open revision began. */
    revision_since: number | null;
    /** When retention looks for revisions to delete; null until another one begins. */
    history_due: number | null;
    /** A `Role`. */
    role: string;
    /** The errors of its pairs, over all its links; 0 without links. */
    unpaired: number;
    /** 1 if it has links, 2 if others link to it, 0 otherwise: a change of it then needs no look at `link`. */
    linked: number;
    /** Grows with each change to its name, its role, its links or its files. */
    version: number;
    /** Grows with each change of its role, or of which files are damaged: after it, revisions may be READY no longer, or again. */
    readiness_version: number;
    /** What was last announced to webhooks: `FAILED`, or `READY` and its digest; null if nothing was. */
    announced: string | null;
  };
  file: {
    id: string;
    dataset_id: string;
    filename: string;
    stem: string;
    kind: string;
    state: string;
    created_at: number;
    /** Of a received row: `receivedAt`. */
    settled_at: number | null;
    /** From here to `expires_at`, and `alive_until`: null unless the row is pending. */
    via: string | null;
    promised_bytes: number | null;
    /** `condition` of a pending or received row. */
    write_condition: string | null;
    expires_at: number | null;
    /** The lease of a pending or received row. */
    arriving_until: number | null;
    arriving_by: string | null;
    /** The later of `expires_at` and `arriving_until`, for the index. */
    alive_until: number | null;
    /** From here to `blob_version`: null unless the row is received or stored. */
    size_bytes: number | null;
    sha256: string | null;
    content_type: string | null;
    facts: string | null;
    warnings: string | null;
    /** The ETag in the bucket; null on disk. */
    blob_version: string | null;
    /** Null unless the row is rejected, or stored and found damaged by a recheck. */
    problem: string | null;
    /** When the presigned link of a received or stored row ends. */
    link_until: number | null;
    /** The number of the revision that added the file; 0 unless the row is stored. */
    added_in: number;
    /** The author of a pending or received row as JSON. */
    author: string | null;
  };
  /**
   * Stored files that were replaced or removed, as they were. A file that was restored keeps its id, so that it may be in
   * `file` too, and here several times. The blob of each exists.
   */
  past_file: Pick<
    Schema['file'],
    'id' | 'dataset_id' | 'filename' | 'kind' | 'created_at' | 'blob_version' | 'problem' | 'link_until' | 'added_in'
  > & {
    settled_at: number;
    size_bytes: number;
    sha256: string;
    content_type: string;
    facts: string;
    warnings: string;
    /** The number of the revision that replaced or removed it. */
    removed_in: number;
  };
  /** Revision `number` of a dataset has the stored files and past files with `added_in <= number < removed_in`. */
  revision: {
    dataset_id: string;
    number: number;
    started_at: number;
    changed_at: number;
    /** The token that made the changes; null if it is not known. */
    token_id: string | null;
    token_name: string | null;
    /** A `ChangeKind`. */
    how: string;
    /** What its changes added, removed and replaced. */
    added: number;
    removed: number;
    changed: number;
    /** The stored files after its changes, and their bytes. */
    files: number;
    bytes: number;
    /** The id that the client gave its changes. */
    change_id: string | null;
    restored_from: number | null;
    /** As `digestOf` computes it; null until it is needed, and after each change. */
    digest: string | null;
    /** Whether these files are fit to train on; null like `digest`. */
    ready: number | null;
    pinned_at: number | null;
    pinned_by: string | null;
    pin_note: string | null;
  };
  /** The last recheck of a dataset. It runs as long as it has jobs. */
  recheck: {
    dataset_id: string;
    started_at: number;
    /** Stored files at the start. */
    total: number;
    /** When a file was checked last; null until then. */
    checked_at: number | null;
  };
  /**
   * Blobs without a file, kept until `delete_after` for reads in flight. Until `link_until`, and for the time of a slow
   * upload after it, a client may create the blob again through a presigned link.
   */
  trash: { blob_key: string; delete_after: number; link_until: number | null };
  setting: { name: string; value: string };
}

/** Runs in the order of the names. A migration that has been released never changes. */
export const MIGRATIONS: Record<string, Migration> = {
  '0001_initial': { up: createInitialTables },
  '0002_received': { up: addReceived },
  '0003_recheck': { up: addRecheck },
  '0004_link_until': { up: addLinkUntil },
  '0005_limits': { up: addLimits },
  '0006_write_condition': { up: addWriteCondition },
  '0007_history': { up: addHistory },
  '0008_token_kinds': { up: addTokenKinds },
  '0009_webhooks': { up: addWebhooks },
  '0010_links': { up: addLinks },
  '0011_version': { up: addVersion },
  '0012_added_in_index': { up: indexAddedIn },
  '0013_readiness_version': { up: addReadinessVersion },
  '0014_file_indexes': { up: addFileIndexes },
  '0015_presigned_index': { up: indexPresigned },
  '0016_announcement_index': { up: indexAnnouncements },
  '0017_token_index': { up: indexTokensOfAccounts },
  '0018_background_indexes': { up: indexBackgroundReads },
  '0019_dataset_name_index': { up: indexDatasetName },
  '0020_received_index': { up: indexReceived },
  '0021_jobs': { up: addJobs },
  '0022_outbox': { up: makeOutbox },
  '0023_recheck_jobs': { up: moveRechecksToJobs },
  '0024_background_work': { up: enqueueBackgroundWork },
};

/** Received files: finalized names are unique without them, and the background check finds them by an index. */
async function addReceived(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('dataset')
    .addColumn('received', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.dropIndex('file_one_settled').execute();
  await db.schema
    .createIndex('file_one_settled')
    .unique()
    .on('file')
    .columns(['dataset_id', 'filename'])
    .where(sql.ref('state'), '<>', 'pending')
    .where(sql.ref('state'), '<>', 'received')
    .execute();
  await db.schema
    .createIndex('file_received')
    .on('file')
    .columns(['settled_at', 'id'])
    .where(sql.ref('state'), '=', 'received')
    .execute();
}

async function addRecheck(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('recheck')
    .addColumn('dataset_id', 'text', (c) => c.primaryKey().references('dataset.id').onDelete('cascade'))
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('total', 'bigint', (c) => c.notNull())
    .addColumn('checked', 'bigint', (c) => c.notNull())
    .addColumn('after_id', 'text', (c) => c.notNull())
    .addColumn('finished_at', 'bigint')
    .addColumn('lease_until', 'bigint')
    .addColumn('lease_token', 'text')
    .execute();
  await db.schema
    .createIndex('recheck_unfinished')
    .on('recheck')
    .columns(['started_at', 'dataset_id'])
    .where(sql.ref('finished_at'), 'is', null)
    .execute();
}

/** Totals of accounts, counted from their files, and rights of tokens. */
async function addLimits(db: Kysely<unknown>): Promise<void> {
  for (const total of ['datasets', 'files', 'bytes']) {
    await db.schema
      .alterTable('account')
      .addColumn(total, 'bigint', (c) => c.notNull().defaultTo(0))
      .execute();
  }
  await sql`
    with file_name as (
      select dataset.account_id, max(coalesce(file.size_bytes, file.promised_bytes, 0)) as bytes
      from file join dataset on dataset.id = file.dataset_id
      group by dataset.account_id, file.dataset_id, file.filename
    )
    update account set
      datasets = (select count(*) from dataset where account_id = account.id),
      files = (select count(*) from file_name where account_id = account.id),
      bytes = (select coalesce(sum(bytes), 0) from file_name where account_id = account.id)
  `.execute(db);
  await db.schema.alterTable('token').addColumn('expires_at', 'bigint').execute();
  await db.schema
    .alterTable('token')
    .addColumn('is_read_only', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.alterTable('token').addColumn('dataset_ids', 'text').execute();
  await db.schema.alterTable('token').addColumn('last_used_at', 'bigint').execute();
}

async function addWriteCondition(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('file').addColumn('write_condition', 'text').execute();
}
