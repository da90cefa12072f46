import { type RawBuilder, sql } from 'kysely';

/** A column: its definition in SQL, and the type of its values. */
interface Column<Value> {
  readonly definition: string;
  readonly value?: Value;
}

const text: Column<string> = { definition: 'text not null' };
const textOrNull: Column<string | null> = { definition: 'text' };
const integer: Column<number> = { definition: 'bigint not null' };
/** 0 unless an insert says otherwise. */
const count: Column<number> = { definition: 'bigint not null default 0' };
const integerOrNull: Column<number | null> = { definition: 'bigint' };
const uniqueText: Column<string> = { definition: 'text not null unique' };
const ofAccount: Column<string> = { definition: 'text not null references account (id) on delete cascade' };
const ofDataset: Column<string> = { definition: 'text not null references dataset (id) on delete cascade' };

/** A table with its columns and its primary key. */
function table<Columns extends Record<string, Column<unknown>>>(columns: Columns, key: readonly string[] = ['id']) {
  return { columns, key };
}

/**
 * The tables, each after those that it references. Times are microseconds since 1970 UTC, JSON is stored as text, and a column
 * has the name that its value has in the code. A change here needs one in `migrate.ts`.
 */
export const TABLES = {
  account: table({
    id: text,
    name: uniqueText,
    created_at: integer,
    /** Sums over the account's datasets, as `usageOf` counts them; they move in the transaction that changes the files. */
    datasets: count,
    files: count,
    bytes: count,
    /** The size of the blobs that only the history of the account's datasets names. */
    history_bytes: count,
  }),
  token: table({
    id: text,
    account_id: ofAccount,
    /** SHA-256 of the token, hexadecimal; the token itself is not stored. */
    digest: uniqueText,
    /** The first characters of the token, by which a person recognizes it. */
    hint: text,
    /** Given by the person who made it, such as the machine that uses it. */
    name: textOrNull,
    created_at: integer,
    revoked_at: integerOrNull,
    expires_at: integerOrNull,
    /** 1 if the token only reads. */
    is_read_only: count,
    /** The ids of the datasets that the token is bound to, as a JSON array; null if it is bound to none. */
    dataset_ids: textOrNull,
    /** Behind by up to a minute. */
    last_used_at: integerOrNull,
    /** A `TokenKind`. */
    kind: { definition: "text not null default 'token'" } as Column<string>,
    /** The token that made this one, which is not valid without it; null for one that the operator made. */
    parent_id: textOrNull,
  }),
  dataset: table({
    id: text,
    account_id: ofAccount,
    name: text,
    created_at: integer,
    /** The last time that an upload was reserved or finalized, or a file was removed. */
    updated_at: integer,
    pending: integer,
    pending_until: integerOrNull,
    received: count,
    rejected: integer,
    images: integer,
    videos: integer,
    captions: integer,
    trainable: integer,
    /** Also of a control or mask, which needs no captions. */
    uncaptioned: integer,
    collisions: integer,
    bytes: integer,
    /** The number of the latest revision; 0 if no file was ever stored. */
    revision: count,
    /** Changes of this group still join the latest revision; null if it is closed. */
    revision_group: textOrNull,
    /** When the open revision began. */
    revision_since: integerOrNull,
    /** A `Role`. */
    role: { definition: "text not null default 'training'" } as Column<string>,
    /** 1 if it has links, 2 if others link to it, 0 otherwise: a change of it then needs no look at `link`. */
    linked: count,
    /** Grows with each change to its name, its role, its links or its files. */
    version: count,
    /** What was last announced to webhooks: `FAILED`, or `READY` and its digest; null if nothing was. */
    announced: textOrNull,
  }),
  file: table({
    id: text,
    dataset_id: ofDataset,
    filename: text,
    stem: text,
    kind: text,
    state: text,
    created_at: integer,
    /** From here to `live_until`: null unless the row is pending. */
    via: textOrNull,
    expected_bytes: integerOrNull,
    expires_at: integerOrNull,
    lease_until: integerOrNull,
    lease_token: textOrNull,
    /** The later of `expires_at` and `lease_until`. */
    live_until: integerOrNull,
    /** Null unless the row is pending or received, as is `author`. Both are JSON. */
    condition: textOrNull,
    author: textOrNull,
    received_at: integerOrNull,
    /** Null unless the row is stored or rejected. */
    finalized_at: integerOrNull,
    /** From here to `blob_version`: null unless the row is received or stored. */
    size_bytes: integerOrNull,
    sha256: textOrNull,
    content_type: textOrNull,
    facts: textOrNull,
    warnings: textOrNull,
    /** The ETag in the bucket; null on disk. */
    blob_version: textOrNull,
    /** Null unless the row is rejected, or stored and found damaged by a recheck. */
    problem: textOrNull,
    /** The number of the revision that added the file; 0 unless the row is stored. */
    added_in: count,
  }),
  /**
   * Stored files that were replaced or removed, as they were. A file that was restored keeps its id, so that it may be in
   * `file` too, and here several times. The blob of each exists.
   */
  past_file: table(
    {
      id: text,
      dataset_id: ofDataset,
      filename: text,
      kind: text,
      created_at: integer,
      finalized_at: integer,
      size_bytes: integer,
      sha256: text,
      content_type: text,
      facts: text,
      warnings: text,
      blob_version: textOrNull,
      problem: textOrNull,
      added_in: integer,
      /** The number of the revision that replaced or removed it. */
      removed_in: integer,
    },
    ['id', 'added_in'],
  ),
  /** Revision `number` of a dataset has the stored files and past files with `added_in <= number < removed_in`. */
  revision: table(
    {
      dataset_id: ofDataset,
      number: integer,
      started_at: integer,
      changed_at: integer,
      /** The token that made the changes; null if it is not known. */
      token_id: textOrNull,
      token_name: textOrNull,
      /** A `ChangeKind`. */
      how: text,
      /** What its changes added, removed and replaced. */
      added: integer,
      removed: integer,
      changed: integer,
      /** The stored files after its changes, and their bytes. */
      files: integer,
      bytes: integer,
      /** The id that the client gave its changes. */
      change_id: textOrNull,
      restored_from: integerOrNull,
      /** As `digestOf` computes it; null until it is needed, and after each change. */
      digest: textOrNull,
      /** The roles in which these files are fit to train on while none is damaged, as a JSON array; null like `digest`. */
      ready_as: textOrNull,
      pinned_at: integerOrNull,
      pinned_by: textOrNull,
      pin_note: textOrNull,
    },
    ['dataset_id', 'number'],
  ),
  /** A training dataset and one of its control or mask datasets, of the same account. */
  link: table(
    {
      dataset_id: ofDataset,
      /** A `LinkSlot`. */
      slot: text,
      linked_id: { definition: 'text not null references dataset (id)' } as Column<string>,
    },
    ['dataset_id', 'slot'],
  ),
  /** The last recheck of a dataset. It runs as long as it has jobs. */
  recheck: table(
    {
      dataset_id: ofDataset,
      started_at: integer,
      /** Stored files at the start. */
      total: integer,
      /** When a file was checked last; null until then. */
      checked_at: integerOrNull,
    },
    ['dataset_id'],
  ),
  /** Blobs without a file, kept until `delete_after` for reads in flight. */
  trash: table({ blob_key: text, delete_after: integer }, ['blob_key']),
  setting: table({ name: text, value: text }, ['name']),
  webhook: table({
    id: text,
    account_id: ofAccount,
    url: text,
    /** The types of events that it receives, as a JSON array. */
    events: text,
    /** `whsec_` and the Base64 of the key that signs its deliveries. */
    secret: text,
    created_at: integer,
    /** Null while it is enabled. */
    disabled_at: integerOrNull,
  }),
  /** An event for one webhook. Those of one dataset are sent in the order of `created_at`. */
  webhook_delivery: table({
    id: text,
    webhook_id: { definition: 'text not null references webhook (id) on delete cascade' } as Column<string>,
    /** Null for a test. */
    dataset_id: textOrNull,
    event: text,
    /** The body of the request. */
    payload: text,
    created_at: integer,
    attempts: count,
    attempted_at: integerOrNull,
    /** When the next attempt is due; null if none is. */
    next_at: integerOrNull,
    delivered_at: integerOrNull,
    /** The HTTP status of the last answer. */
    answer: integerOrNull,
    /** Why the last attempt failed, for a person. */
    error: textOrNull,
  }),
  /** Work that happens later. A job is deleted when it is done. */
  job: table(
    {
      /** A `JobKind`. */
      kind: text,
      /** What the job is about, such as the id of a file; unique for its kind. */
      key: text,
      /** Whose job it is; empty if it belongs to the installation. */
      account_id: text,
      /** JSON, as the handler of the kind reads it. */
      payload: text,
      /** From then on the job may be claimed. While a worker has claimed it: when its lease ends. */
      due_at: integer,
      /** Grows each time the job is enqueued again, so that a worker does not delete one that became necessary meanwhile. */
      generation: count,
      /** Failed attempts since it was enqueued or last succeeded. */
      failures: count,
      /** Why the last attempt failed, for the operator. */
      error: textOrNull,
      /** The worker that has claimed the job; null while it waits. */
      lease: textOrNull,
    },
    ['kind', 'key'],
  ),
};

type Tables = typeof TABLES;

/** The tables, as Kysely types statements. */
export type Schema = {
  [Table in keyof Tables]: {
    [Name in keyof Tables[Table]['columns']]: Tables[Table]['columns'][Name] extends Column<infer Value>
      ? Value
      : never;
  };
};

/**
 * SQLite uses a partial index only if a statement has its condition as text. Of a large dataset, the indexes find the few files
 * that are damaged, of a kind, or not stored; others have all columns that their statements read.
 */
const INDEXES = [
  'index token_account on token (account_id)',
  'index token_parent on token (parent_id) where parent_id is not null',
  'unique index dataset_name_unique on dataset (account_id, name)',
  // A mount root looks for the datasets of all accounts with a name.
  'index dataset_name on dataset (name)',
  'index dataset_newest on dataset (account_id, created_at desc, id desc)',
  'index file_stem on file (dataset_id, stem)',
  "unique index file_finalized on file (dataset_id, filename) where state <> 'pending' and state <> 'received'",
  "index file_pending on file (dataset_id, live_until) where state = 'pending'",
  'index file_leased on file (lease_until) where lease_until is not null',
  "index file_damaged on file (dataset_id, filename) where state = 'stored' and problem is not null",
  "index file_kind on file (dataset_id, kind, filename) where state = 'stored'",
  "index file_not_stored on file (dataset_id) where state <> 'stored'",
  "index file_presigned on file (dataset_id, id) where state = 'pending' and via = 'presigned'",
  // For the start of a recheck. The last condition always holds, and keeps SQLite from taking it for other statements.
  "index file_stored on file (dataset_id, id, finalized_at) where state = 'stored' and finalized_at is not null",
  'index past_file_name on past_file (dataset_id, filename)',
  'index past_file_removed on past_file (dataset_id, removed_in, added_in)',
  'index past_file_damaged on past_file (dataset_id, added_in, removed_in) where problem is not null',
  // For retention.
  'index revision_changed on revision (changed_at) where pinned_at is null',
  'unique index link_linked on link (linked_id, dataset_id)',
  'index trash_due on trash (delete_after)',
  'index webhook_account on webhook (account_id)',
  'index webhook_delivery_latest on webhook_delivery (webhook_id, created_at)',
  'index webhook_delivery_due on webhook_delivery (webhook_id, next_at) where next_at is not null',
  // The jobs of an account that are due first, and the accounts of a kind.
  'index job_due on job (kind, account_id, due_at, key)',
  'index job_leased on job (lease) where lease is not null',
];

/** The statements that create the tables and indexes in an empty database. */
export function createTables(): RawBuilder<unknown>[] {
  const tables = Object.entries(TABLES).map(([name, { columns, key }]) => {
    const definitions = Object.entries<Column<unknown>>(columns).map(
      ([column, { definition }]) => `${column} ${definition}`,
    );
    const constraint = `constraint ${name}_key primary key (${key.join(', ')})`;
    return sql.raw(`create table ${name} (${[...definitions, constraint].join(', ')})`);
  });
  return [...tables, ...INDEXES.map((index) => sql.raw(`create ${index}`))];
}
