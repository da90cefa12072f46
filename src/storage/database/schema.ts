import { type RawBuilder, sql } from 'kysely';

/** The definition in SQL, and the type of the values. */
interface Column<Value> {
  readonly definition: string;
  readonly value?: Value;
}

const text: Column<string> = { definition: 'text not null' };
const textOrNull: Column<string | null> = { definition: 'text' };
const integer: Column<number> = { definition: 'bigint not null' };
const count: Column<number> = { definition: 'bigint not null default 0' };
const integerOrNull: Column<number | null> = { definition: 'bigint' };
const uniqueText: Column<string> = { definition: 'text not null unique' };
const ofAccount: Column<string> = { definition: 'text not null references account (id) on delete cascade' };
const ofDataset: Column<string> = { definition: 'text not null references dataset (id) on delete cascade' };

function table<Columns extends Record<string, Column<unknown>>>(columns: Columns, key: readonly string[] = ['id']) {
  return { columns, key };
}

/**
 * The tables, each after those that it references. Times are microseconds since 1970 UTC; JSON is text. A change here needs one
 * in `migrate.ts`.
 */
export const TABLES = {
  account: table({
    id: text,
    name: uniqueText,
    created_at: integer,
    /** Sums over the datasets, as `usageOf` counts them. */
    datasets: count,
    files: count,
    bytes: count,
    /** The size of the blobs that only the history has. */
    history_bytes: count,
  }),
  token: table({
    id: text,
    account_id: ofAccount,
    /** SHA-256 of the token, hexadecimal. */
    digest: uniqueText,
    /** The first characters of the token. */
    hint: text,
    name: textOrNull,
    created_at: integer,
    revoked_at: integerOrNull,
    expires_at: integerOrNull,
    is_read_only: count,
    /** Ids as a JSON array; null for all datasets. */
    dataset_ids: textOrNull,
    /** Up to a minute late. */
    last_used_at: integerOrNull,
    /** A `TokenKind`. */
    kind: { definition: "text not null default 'token'" } as Column<string>,
    /** The token that made this one; null if the operator did. */
    parent_id: textOrNull,
  }),
  dataset: table({
    id: text,
    account_id: ofAccount,
    name: text,
    created_at: integer,
    /** When an upload was last reserved or finalized, or a file removed. */
    updated_at: integer,
    pending: integer,
    pending_until: integerOrNull,
    received: count,
    rejected: integer,
    images: integer,
    videos: integer,
    captions: integer,
    trainable: integer,
    /** Also in a control or mask, which needs no captions. */
    uncaptioned: integer,
    collisions: integer,
    bytes: integer,
    /** The latest revision; 0 if no file was ever stored. */
    revision: count,
    /** Changes of this group join the latest revision; null if it is closed. */
    revision_group: textOrNull,
    revision_since: integerOrNull,
    /** A `Role`. */
    role: { definition: "text not null default 'training'" } as Column<string>,
    /** See `LINKED`: most changes then need no query of `link`. */
    linked: count,
    /** Grows with each change to the name, role, links or files. */
    version: count,
    /** `FAILED`, or `READY` and its digest; null if nothing was announced. */
    announced: textOrNull,
    /** Its `Group`s as a JSON array; null without any. */
    file_groups: textOrNull,
  }),
  file: table({
    id: text,
    dataset_id: ofDataset,
    filename: text,
    stem: text,
    kind: text,
    state: text,
    created_at: integer,
    /** Until `live_until`: null unless the row is pending. */
    via: textOrNull,
    expected_bytes: integerOrNull,
    expires_at: integerOrNull,
    lease_until: integerOrNull,
    lease_token: textOrNull,
    /** The later of `expires_at` and `lease_until`. */
    live_until: integerOrNull,
    /** JSON, as `author`; null unless the row is pending or received. */
    condition: textOrNull,
    author: textOrNull,
    received_at: integerOrNull,
    /** Null unless the row is stored or rejected. */
    finalized_at: integerOrNull,
    /** Until `blob_version`: null unless the row is received or stored. */
    size_bytes: integerOrNull,
    sha256: textOrNull,
    content_type: textOrNull,
    facts: textOrNull,
    warnings: textOrNull,
    /** The ETag in the bucket; null on disk. */
    blob_version: textOrNull,
    /** Null unless the row is rejected, or stored and damaged. */
    problem: textOrNull,
    /** The revision that added the file; 0 unless the row is stored. */
    added_in: count,
    /** A placeholder, Base64; null unless the row is a stored image that can be decoded, and its job has run. */
    thumbhash: textOrNull,
    /** One of the `file_groups` of its dataset. */
    group_name: textOrNull,
    /** A `CaptionOrigin`; null unless the row is a stored caption that a person or a model has written. */
    origin: textOrNull,
  }),
  /** Replaced and removed stored files. A restored file keeps its id, so that it may be in `file` too, and here several times. */
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
      /** The revision that replaced or removed it. */
      removed_in: integer,
      thumbhash: textOrNull,
      group_name: textOrNull,
      origin: textOrNull,
    },
    ['id', 'added_in'],
  ),
  /** Has the stored and past files with `added_in <= number < removed_in`. */
  revision: table(
    {
      dataset_id: ofDataset,
      number: integer,
      started_at: integer,
      changed_at: integer,
      /** Null if it is not known. */
      token_id: textOrNull,
      token_name: textOrNull,
      /** A `ChangeKind`. */
      how: text,
      added: integer,
      removed: integer,
      changed: integer,
      /** The stored files after its changes. */
      files: integer,
      bytes: integer,
      /** Given by the client. */
      change_id: textOrNull,
      restored_from: integerOrNull,
      /** See `digestOf`; null until it is needed, and after each change. */
      digest: textOrNull,
      /** The roles in which undamaged files are fit to train on, as a JSON array; null like `digest`. */
      ready_as: textOrNull,
      pinned_at: integerOrNull,
      pinned_by: textOrNull,
      pin_note: textOrNull,
    },
    ['dataset_id', 'number'],
  ),
  /** A training dataset and a control or mask dataset of the same account. */
  link: table(
    {
      dataset_id: ofDataset,
      /** A `LinkSlot`. */
      slot: text,
      linked_id: { definition: 'text not null references dataset (id)' } as Column<string>,
    },
    ['dataset_id', 'slot'],
  ),
  /** The last recheck of a dataset, which runs as long as it has jobs. */
  recheck: table(
    {
      dataset_id: ofDataset,
      started_at: integer,
      total: integer,
      checked_at: integerOrNull,
    },
    ['dataset_id'],
  ),
  /** What the images of blobs look like. A row is deleted with its blob. */
  perceptual_hash: table(
    {
      blob_key: text,
      /** See `unpackHash`; null for an image that can't be decoded. */
      hash: textOrNull,
    },
    ['blob_key'],
  ),
  /** Files that a person has called different, although they look alike. */
  different_files: table(
    {
      dataset_id: ofDataset,
      /** Rows with the same value are files that differ from one another. */
      decision: text,
      sha256: text,
    },
    ['dataset_id', 'decision', 'sha256'],
  ),
  /** The prompts of accounts. */
  caption_preset: table({ account_id: ofAccount, name: text, prompt: text }, ['account_id', 'name']),
  /** A model writes captions. A row of `caption_proposal` is a file of it. */
  caption_run: table({
    id: text,
    account_id: text,
    dataset_id: ofDataset,
    started_at: integer,
    ended_at: integerOrNull,
    /** running, ending, done or stopped. */
    state: text,
    /** Why it stopped by itself. */
    reason: textOrNull,
    endpoint: text,
    model: text,
    preset: textOrNull,
    prompt: text,
    /** `AskedOptions` as JSON. */
    options: text,
    token_id: textOrNull,
    busy_until: integerOrNull,
    /** The outcome of the last files, and how many in a row. */
    streak_of: textOrNull,
    streak: count,
  }),
  caption_proposal: table({
    id: text,
    run_id: { definition: 'text not null references caption_run (id) on delete cascade' } as Column<string>,
    dataset_id: text,
    /** Of the image or clip. */
    filename: text,
    caption: text,
    /** A `ProposalState`. */
    state: text,
    /** The SHA-256 of the caption when the model was asked. */
    base: textOrNull,
    /** Identifies what the model was asked, so that it is asked once. */
    question: textOrNull,
    /** The text of the model without the trigger. */
    answer: textOrNull,
    /** A `CaptionOutcome`. */
    outcome: textOrNull,
    message: textOrNull,
  }),
  /** Blobs without a file, kept for reads in flight. */
  trash: table({ blob_key: text, delete_after: integer }, ['blob_key']),
  setting: table({ name: text, value: text }, ['name']),
  webhook: table({
    id: text,
    account_id: ofAccount,
    url: text,
    /** A JSON array. */
    events: text,
    /** `whsec_` and the Base64 of the key. */
    secret: text,
    created_at: integer,
    disabled_at: integerOrNull,
  }),
  /** An event for one webhook. Events of a dataset are sent in the order of `created_at`. */
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
    /** Null if no attempt is due. */
    next_at: integerOrNull,
    delivered_at: integerOrNull,
    /** The HTTP status. */
    answer: integerOrNull,
    error: textOrNull,
  }),
  job: table(
    {
      /** A `JobKind`. */
      kind: text,
      /** The subject of the job, unique for its kind. */
      key: text,
      /** Empty if the job belongs to the installation. */
      account_id: text,
      payload: text,
      /** When the job may be claimed; for a claimed one, the end of its lease. */
      due_at: integer,
      /** Grows each time the job is enqueued, so that a worker does not delete one that is necessary again. */
      generation: count,
      /** Since the job was enqueued or last succeeded. */
      failures: count,
      error: textOrNull,
      /** The worker that has claimed the job. */
      lease: textOrNull,
    },
    ['kind', 'key'],
  ),
};

type Tables = typeof TABLES;

/** The tables, as Kysely types them. */
export type Schema = {
  [Table in keyof Tables]: {
    [Name in keyof Tables[Table]['columns']]: Tables[Table]['columns'][Name] extends Column<infer Value>
      ? Value
      : never;
  };
};

/** SQLite uses a partial index only if a statement has its condition as text. Some have all columns that statements read. */
const INDEXES = [
  'index token_account on token (account_id)',
  'index token_parent on token (parent_id) where parent_id is not null',
  'unique index dataset_name_unique on dataset (account_id, name)',
  // A mount root looks for a name in all accounts.
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
  // For the start of a recheck. The last condition always holds, and keeps SQLite from using it elsewhere.
  "index file_stored on file (dataset_id, id, finalized_at) where state = 'stored' and finalized_at is not null",
  'index past_file_name on past_file (dataset_id, filename)',
  'index past_file_removed on past_file (dataset_id, removed_in, added_in)',
  'index past_file_damaged on past_file (dataset_id, added_in, removed_in) where problem is not null',
  // For retention.
  'index revision_changed on revision (changed_at) where pinned_at is null',
  'unique index link_linked on link (linked_id, dataset_id)',
  'index caption_run_newest on caption_run (dataset_id, started_at)',
  'index caption_proposal_run on caption_proposal (run_id, state)',
  "index caption_proposal_open on caption_proposal (dataset_id, caption) where state = 'proposed'",
  'index caption_proposal_question on caption_proposal (question)',
  'index trash_due on trash (delete_after)',
  'index webhook_account on webhook (account_id)',
  'index webhook_delivery_latest on webhook_delivery (webhook_id, created_at)',
  'index webhook_delivery_due on webhook_delivery (webhook_id, next_at) where next_at is not null',
  // The jobs of an account that are due first, and the accounts of a kind.
  'index job_due on job (kind, account_id, due_at, key)',
  'index job_leased on job (lease) where lease is not null',
];

export function createTable(name: keyof Schema): RawBuilder<unknown> {
  const { columns, key } = TABLES[name];
  const definitions = Object.entries<Column<unknown>>(columns).map(
    ([column, { definition }]) => `${column} ${definition}`,
  );
  const constraint = `constraint ${name}_key primary key (${key.join(', ')})`;
  return sql.raw(`create table ${name} (${[...definitions, constraint].join(', ')})`);
}

/** The statements that create the indexes of a table. */
export function createIndexes(name: keyof Schema): RawBuilder<unknown>[] {
  return INDEXES.filter((index) => index.includes(` on ${name} (`)).map((index) => sql.raw(`create ${index}`));
}

export function createTables(): RawBuilder<unknown>[] {
  const tables = (Object.keys(TABLES) as (keyof Schema)[]).map(createTable);
  return [...tables, ...INDEXES.map((index) => sql.raw(`create ${index}`))];
}
