import { type Selectable, sql } from 'kysely';
import { COUNT_FIELDS, countsInRole, type StemCounts } from '../../dataset/counts.js';
import {
  type Author,
  type CaptionOrigin,
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
import type { Group } from '../../dataset/groups.js';
import type { VersionedFile } from '../../dataset/history/revisions.js';
import type { Facts } from '../../dataset/inspect/inspection.js';
import { type FileKind, stemOf } from '../../dataset/media.js';
import type { Warning } from '../../dataset/problems.js';
import { type Schema, TABLES } from '../database/schema.js';

export type FileRow = Selectable<Schema['file']>;
export type DatasetRow = Selectable<Schema['dataset']>;

/** A dataset and the account that it must belong to. */
export type DatasetKeyOfAccount = Pick<Dataset, 'accountId' | 'id'>;

export type OwnCounts = Omit<DatasetCounts, 'unpaired'>;

export interface DatasetRecord extends Omit<Dataset, 'links' | 'counts'> {
  readonly counts: OwnCounts;
}

export function datasetRecordOf(row: DatasetRow): DatasetRecord {
  const { id, account_id: accountId, name, created_at: createdAt, updated_at: updatedAt } = row;
  const { revision, version, linked } = row;
  const role = row.role as Role;
  const counts = countsInRole(countsInRow(row), role);
  const isLinkedTo = linked === LINKED.to;
  const groups = groupsInRow(row);
  return { id, accountId, name, role, createdAt, updatedAt, counts, isLinkedTo, groups, revision, version };
}

export function groupsInRow({ file_groups: groups }: DatasetRow): readonly Group[] {
  return groups === null ? [] : JSON.parse(groups);
}

export function unlinkedDatasetOf(row: DatasetRow): Dataset {
  const record = datasetRecordOf(row);
  return { ...record, counts: { ...record.counts, unpaired: 0 }, links: [] };
}

/** The counts of a row, as if the dataset were for training. */
export function countsInRow(row: DatasetRow): OwnCounts {
  const { pending_until: pendingUntil, updated_at: lastActivity } = row;
  const counts = Object.fromEntries(COUNT_FIELDS.map((name) => [name, row[name]])) as unknown as StemCounts;
  return { ...counts, pendingUntil, lastActivity };
}

/** The values of `dataset.linked`. */
export const LINKED = { none: 0, from: 1, to: 2 } as const;

/** The columns of a stored file, without its state. */
export const STORED_COLUMNS = [
  ...(['id', 'dataset_id', 'filename', 'kind', 'created_at', 'finalized_at', 'size_bytes', 'sha256'] as const),
  ...(['content_type', 'facts', 'warnings', 'blob_version', 'problem', 'added_in', 'thumbhash'] as const),
  ...(['group_name', 'origin'] as const),
];

export const STORED = sql.raw(STORED_COLUMNS.join(', '));

export const PAST_FILE_COLUMNS = [...STORED_COLUMNS, 'removed_in'] as const;

export type StoredRow = Pick<FileRow, (typeof STORED_COLUMNS)[number]>;

/** Reads a JSON column that is not null in this state. */
export type ReadJson = <T>(text: string | null) => T;

const readJson: ReadJson = (text) => JSON.parse(required(text));

/** Parses equal texts once: most of many files have the same facts and no warnings. */
export function jsonReader(): ReadJson {
  const parsed = new Map<string | null, unknown>();
  return <T>(text: string | null) => {
    let value = parsed.get(text);
    if (value === undefined) {
      value = readJson(text);
      parsed.set(text, value);
    }
    return value as T;
  };
}

export function fileOf(row: FileRow): DatasetFile {
  return readFile(row, readJson);
}

export function filesOf(rows: readonly FileRow[]): DatasetFile[] {
  const read = jsonReader();
  return rows.map((row) => readFile(row, read));
}

function readFile(row: FileRow, read: ReadJson): DatasetFile {
  const { id, dataset_id: datasetId, filename, created_at: createdAt } = row;
  const upload = uploadOf(row, read);
  return { id, datasetId, filename, kind: row.kind as FileKind, createdAt, ...groupIn(row), upload };
}

function storedFileOf(row: StoredRow, read: ReadJson = readJson): StoredFile {
  const { id, dataset_id: datasetId, filename, created_at: createdAt } = row;
  const upload = storedUploadOf(row, read);
  return { id, datasetId, filename, kind: row.kind as FileKind, createdAt, ...groupIn(row), upload };
}

function groupIn({ group_name: group }: Pick<FileRow, 'group_name'>): { group?: string } {
  return group === null ? {} : { group };
}

export function storedFilesOf(rows: readonly StoredRow[]): StoredFile[] {
  const read = jsonReader();
  return rows.map((row) => storedFileOf(row, read));
}

export function pastFileOf(row: Selectable<Schema['past_file']>): VersionedFile {
  return { ...storedFileOf(row), removedIn: row.removed_in };
}

function uploadOf(row: FileRow, read: ReadJson): Upload {
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
      return { state: 'received', ...bytesOf(row, read), receivedAt: required(row.received_at), ...givenOf(row) };
    case 'stored':
      return storedUploadOf(row, read);
    case 'rejected':
      return { state: 'rejected', problem: readJson(row.problem), finalizedAt: required(row.finalized_at) };
    default:
      throw new Error(`The catalog has a file in the state "${row.state}", which this version does not support.`);
  }
}

function storedUploadOf(row: StoredRow, read: ReadJson): StoredFile['upload'] {
  const finalizedAt = required(row.finalized_at);
  const { added_in: addedIn, thumbhash } = row;
  const shown = {
    ...(thumbhash !== null && { thumbhash }),
    ...(row.origin !== null && { origin: read<CaptionOrigin>(row.origin) }),
  };
  const stored = { state: 'stored', ...bytesOf(row, read), finalizedAt, addedIn, ...shown } as const;
  return row.problem === null ? stored : { ...stored, problem: read(row.problem) };
}

function givenOf({ condition, author }: FileRow) {
  return {
    ...(condition !== null && { condition: JSON.parse(condition) }),
    ...(author !== null && { author: JSON.parse(author) as Author }),
  };
}

function bytesOf(row: Omit<StoredRow, 'added_in' | 'thumbhash' | 'group_name' | 'origin'>, read: ReadJson) {
  return {
    sizeBytes: required(row.size_bytes),
    sha256: required(row.sha256),
    contentType: required(row.content_type),
    facts: read<Facts>(row.facts),
    warnings: read<readonly Warning[]>(row.warnings),
    blobVersion: row.blob_version,
  };
}

export function required<T>(value: T | null): T {
  if (value === null) throw new Error('The catalog has a file that lacks a column of its state.');
  return value;
}

const CONSTANT_COLUMNS = ['id', 'dataset_id', 'filename', 'stem', 'kind', 'created_at'] as const;

export const FILE_COLUMNS = Object.keys(TABLES.file.columns) as (keyof FileRow)[];

/** The columns that depend on the state of an upload. */
export const UPLOAD_COLUMNS = FILE_COLUMNS.filter(
  (column): column is keyof UploadColumns | 'state' => !(CONSTANT_COLUMNS as readonly string[]).includes(column),
);

type UploadColumns = Omit<FileRow, (typeof CONSTANT_COLUMNS)[number] | 'state' | 'group_name'>;

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
    group_name: file.group ?? null,
  };
}

function uploadColumns(upload: Upload): UploadColumns {
  switch (upload.state) {
    case 'pending':
      return {
        ...{ ...NO_UPLOAD, ...givenColumns(upload), via: upload.via, expected_bytes: upload.expectedBytes },
        ...{ expires_at: upload.expiresAt, lease_until: upload.leaseUntil, lease_token: upload.leaseToken },
        live_until: liveUntil(upload),
      };
    case 'received':
      return { ...bytesColumns(upload), received_at: upload.receivedAt, ...givenColumns(upload) };
    case 'stored': {
      const problem = upload.problem === undefined ? null : JSON.stringify(upload.problem);
      const origin = upload.origin === undefined ? null : JSON.stringify(upload.origin);
      const { finalizedAt, addedIn = 0, thumbhash = null } = upload;
      return { ...bytesColumns(upload), finalized_at: finalizedAt, added_in: addedIn, problem, thumbhash, origin };
    }
    case 'rejected':
      return { ...NO_UPLOAD, problem: JSON.stringify(upload.problem), finalized_at: upload.finalizedAt };
  }
}

function givenColumns({ condition, author }: (PendingFile | ReceivedFile)['upload']) {
  const jsonOf = (value: object | undefined) => (value === undefined ? null : JSON.stringify(value));
  return { condition: jsonOf(condition), author: jsonOf(author) };
}

function bytesColumns(upload: (ReceivedFile | StoredFile)['upload']): UploadColumns {
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
