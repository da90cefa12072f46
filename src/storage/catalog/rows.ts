import type { Selectable } from 'kysely';
import { COUNT_FIELDS, countsInRole, type StemCounts } from '../../dataset/counts.js';
import {
  type Author,
  type Dataset,
  type DatasetCounts,
  type DatasetFile,
  liveUntil,
  type PendingFile,
  type ReceivedFile,
  type Role,
  type StoredFile,
  type Upload,
} from '../../dataset/dataset.js';
import type { VersionedFile } from '../../dataset/history/revision-states.js';
import type { Facts } from '../../dataset/inspect/inspection.js';
import { type FileKind, stemOf } from '../../dataset/media.js';
import type { Warning } from '../../dataset/problems.js';
import { type Schema, TABLES } from '../database/schema.js';

export type FileRow = Selectable<Schema['file']>;
export type DatasetRow = Selectable<Schema['dataset']>;

/** A dataset as its row has it. */
export type DatasetRecord = Omit<Dataset, 'links'>;

export function datasetRecordOf(row: DatasetRow): DatasetRecord {
  const { id, account_id: accountId, name, created_at: createdAt, updated_at: updatedAt } = row;
  const { revision, version, linked } = row;
  const role = row.role as Role;
  const counts = countsInRole(countsInRow(row), role);
  const isLinkedTo = linked === LINKED.to;
  return { id, accountId, name, role, createdAt, updatedAt, counts, isLinkedTo, revision, version };
}

/** The counts of a row, as its files have them in a training dataset. */
export function countsInRow(row: DatasetRow): DatasetCounts {
  const { unpaired, pending_until: pendingUntil, updated_at: lastActivity } = row;
  const counts = Object.fromEntries(COUNT_FIELDS.map((name) => [name, row[name]])) as unknown as StemCounts;
  return { ...counts, unpaired, pendingUntil, lastActivity };
}

/** The values of `dataset.linked`. */
export const LINKED = { none: 0, from: 1, to: 2 } as const;

/** The history of a new dataset. */
export const NO_HISTORY = { revision: 0, revision_group: null, revision_since: null } as const;

/** The columns that hold the counts. */
export function countColumns({ lastActivity, pendingUntil, ...counts }: DatasetCounts) {
  return { ...counts, pending_until: pendingUntil, updated_at: lastActivity };
}

export function fileOf(row: FileRow): DatasetFile {
  const { id, dataset_id: datasetId, filename, created_at: createdAt } = row;
  return { id, datasetId, filename, kind: row.kind as FileKind, createdAt, upload: uploadOf(row) };
}

function uploadOf(row: FileRow): Upload {
  switch (row.state) {
    case 'pending':
      return {
        state: 'pending',
        via: required(row.via) as PendingFile['upload']['via'],
        expectedBytes: row.expected_bytes,
        ...givenOf(row),
        expiresAt: required(row.expires_at),
        leaseUntil: row.lease_until,
        leaseToken: row.lease_token,
      };
    case 'received':
      return {
        state: 'received',
        ...inspectedBytesOf(row, factsOf),
        receivedAt: required(row.received_at),
        ...givenOf(row),
      };
    case 'stored':
      return storedUploadOf(row, factsOf);
    case 'rejected':
      return { state: 'rejected', problem: JSON.parse(required(row.problem)), finalizedAt: required(row.finalized_at) };
    default:
      throw new Error(`The catalog has a file in the state "${row.state}", which this version does not support.`);
  }
}

/** The columns of a stored file, without its dataset and its state. */
export const STORED_COLUMNS = [
  ...(['id', 'filename', 'kind', 'created_at', 'finalized_at', 'size_bytes', 'sha256', 'content_type'] as const),
  ...(['facts', 'warnings', 'blob_version', 'problem', 'added_in'] as const),
];

export const PAST_FILE_COLUMNS = ['dataset_id', ...STORED_COLUMNS, 'removed_in'] as const;

export function pastFileOf(row: Selectable<Schema['past_file']>): VersionedFile {
  return { ...storedFileOf(row, row.dataset_id), removedIn: row.removed_in };
}

type StoredRow = Pick<FileRow, (typeof STORED_COLUMNS)[number]>;

export function storedFileOf(row: StoredRow, datasetId: string, readFacts: FactsReader = factsOf): StoredFile {
  const { id, filename, created_at: createdAt } = row;
  const upload = storedUploadOf(row, readFacts);
  return { id, datasetId, filename, kind: row.kind as FileKind, createdAt, upload };
}

/** The files of many rows of one dataset. */
export function storedFilesOf(rows: readonly StoredRow[], datasetId: string): StoredFile[] {
  const readFacts = factsReader();
  return rows.map((row) => storedFileOf(row, datasetId, readFacts));
}

type FactsReader = (text: string | null) => Facts;

function factsOf(text: string | null): Facts {
  return JSON.parse(required(text));
}

/** Makes a function that parses facts. Many files have the same facts, which are then parsed once. */
export function factsReader(): FactsReader {
  const parsed = new Map<string | null, Facts>();
  return (text) => {
    let facts = parsed.get(text);
    if (facts === undefined) {
      facts = factsOf(text);
      parsed.set(text, facts);
    }
    return facts;
  };
}

function storedUploadOf(row: StoredRow, read: FactsReader): StoredFile['upload'] {
  const stored = {
    state: 'stored',
    ...inspectedBytesOf(row, read),
    finalizedAt: required(row.finalized_at),
    addedIn: row.added_in,
  } as const;
  return row.problem === null ? stored : { ...stored, problem: JSON.parse(row.problem) };
}

function givenOf({ condition, author }: FileRow) {
  return {
    ...(condition !== null && { condition: JSON.parse(condition) }),
    ...(author !== null && { author: JSON.parse(author) as Author }),
  };
}

function inspectedBytesOf(row: Omit<StoredRow, 'added_in'>, read: FactsReader) {
  const warnings = required(row.warnings);
  return {
    sizeBytes: required(row.size_bytes),
    sha256: required(row.sha256),
    contentType: required(row.content_type),
    facts: read(row.facts),
    // Nearly all files have no warnings; this saves the parsing.
    warnings: warnings === '[]' ? NO_WARNINGS : JSON.parse(warnings),
    blobVersion: row.blob_version,
  };
}

const NO_WARNINGS: readonly Warning[] = [];

/** The value of a column that every file of the state has. */
export function required<T>(value: T | null): T {
  if (value === null) throw new Error('The catalog has a file that lacks a column of its state.');
  return value;
}

const CONSTANT_COLUMNS = ['id', 'dataset_id', 'filename', 'stem', 'kind', 'created_at'] as const;

export const FILE_COLUMNS = Object.keys(TABLES.file.columns) as (keyof FileRow)[];

/** The columns that change with the state of an upload. */
export const UPLOAD_COLUMNS = FILE_COLUMNS.filter(
  (column): column is keyof UploadColumns | 'state' => !(CONSTANT_COLUMNS as readonly string[]).includes(column),
);

type UploadColumns = Omit<FileRow, (typeof CONSTANT_COLUMNS)[number] | 'state'>;

const NO_UPLOAD = {
  ...Object.fromEntries(UPLOAD_COLUMNS.filter((column) => column !== 'state').map((column) => [column, null])),
  added_in: 0,
} as UploadColumns;

export function fileColumns(file: DatasetFile): FileRow {
  return {
    id: file.id,
    dataset_id: file.datasetId,
    filename: file.filename,
    stem: stemOf(file.filename),
    kind: file.kind,
    state: file.upload.state,
    created_at: file.createdAt,
    ...uploadColumns(file.upload),
  };
}

function uploadColumns(upload: Upload): UploadColumns {
  switch (upload.state) {
    case 'pending':
      return {
        ...NO_UPLOAD,
        via: upload.via,
        expected_bytes: upload.expectedBytes,
        ...givenColumns(upload),
        expires_at: upload.expiresAt,
        lease_until: upload.leaseUntil,
        lease_token: upload.leaseToken,
        live_until: liveUntil(upload),
      };
    case 'received':
      return {
        ...inspectedColumns(upload),
        received_at: upload.receivedAt,
        ...givenColumns(upload),
      };
    case 'stored':
      return {
        ...inspectedColumns(upload),
        finalized_at: upload.finalizedAt,
        added_in: upload.addedIn ?? 0,
        problem: upload.problem === undefined ? null : JSON.stringify(upload.problem),
      };
    case 'rejected':
      return { ...NO_UPLOAD, problem: JSON.stringify(upload.problem), finalized_at: upload.finalizedAt };
  }
}

function givenColumns({ condition, author }: (PendingFile | ReceivedFile)['upload']) {
  const jsonOf = (value: object | undefined) => (value === undefined ? null : JSON.stringify(value));
  return { condition: jsonOf(condition), author: jsonOf(author) };
}

function inspectedColumns(upload: (ReceivedFile | StoredFile)['upload']): UploadColumns {
  return {
    ...NO_UPLOAD,
    size_bytes: upload.sizeBytes,
    sha256: upload.sha256,
    content_type: upload.contentType,
    facts: JSON.stringify(upload.facts),
    warnings: JSON.stringify(upload.warnings),
    blob_version: upload.blobVersion,
  };
}
