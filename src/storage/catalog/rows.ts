import type { Selectable } from 'kysely';
import {
  type Dataset,
  type DatasetCounts,
  type DatasetFile,
  liveUntil,
  type PendingFile,
  type ReceivedFile,
  type StoredFile,
  type Upload,
} from '../../dataset/dataset.js';
import { type FileKind, stemOf } from '../../dataset/media.js';
import type { Warning } from '../../dataset/problems.js';
import type { Schema } from '../database/schema.js';

export type FileRow = Selectable<Schema['file']>;
export type DatasetRow = Selectable<Schema['dataset']>;

export function datasetOf(row: DatasetRow): Dataset {
  const {
    id,
    account_id: accountId,
    name,
    created_at: createdAt,
    updated_at: updatedAt,
    pending_until,
    ...counts
  } = row;
  return {
    id,
    accountId,
    name,
    createdAt,
    updatedAt,
    counts: { ...counts, pendingUntil: pending_until, lastActivity: updatedAt },
  };
}

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
        expectedBytes: row.promised_bytes,
        expiresAt: required(row.expires_at),
        leaseUntil: row.arriving_until,
        leaseToken: row.arriving_by,
      };
    case 'received':
      return receivedUploadOf(row);
    case 'stored':
      return storedUploadOf(row);
    case 'rejected':
      return { state: 'rejected', problem: JSON.parse(required(row.problem)), finalizedAt: required(row.settled_at) };
    default:
      throw new Error(`The catalog has a file in the state "${row.state}", which this version does not support.`);
  }
}

/** The columns of a stored file, without its dataset and its state. */
export const STORED_COLUMNS = [
  'id',
  'filename',
  'kind',
  'created_at',
  'settled_at',
  'size_bytes',
  'sha256',
  'content_type',
  'facts',
  'warnings',
  'blob_version',
  'problem',
] as const;

type StoredRow = Pick<FileRow, (typeof STORED_COLUMNS)[number]>;

export function storedFileOf(row: StoredRow, datasetId: string): StoredFile {
  const { id, filename, created_at: createdAt } = row;
  return { id, datasetId, filename, kind: row.kind as FileKind, createdAt, upload: storedUploadOf(row) };
}

function storedUploadOf(row: StoredRow): StoredFile['upload'] {
  const stored = { state: 'stored', ...inspectedBytesOf(row), finalizedAt: required(row.settled_at) } as const;
  return row.problem === null ? stored : { ...stored, problem: JSON.parse(row.problem) };
}

function receivedUploadOf(row: FileRow): ReceivedFile['upload'] {
  const lease = { leaseUntil: row.arriving_until, leaseToken: row.arriving_by };
  return { state: 'received', ...inspectedBytesOf(row), receivedAt: required(row.settled_at), ...lease };
}

function inspectedBytesOf(row: StoredRow) {
  const warnings = required(row.warnings);
  return {
    sizeBytes: required(row.size_bytes),
    sha256: required(row.sha256),
    contentType: required(row.content_type),
    facts: JSON.parse(required(row.facts)),
    // Nearly all files have no warnings; this saves the parsing.
    warnings: warnings === '[]' ? NO_WARNINGS : JSON.parse(warnings),
    blobVersion: row.blob_version,
  };
}

const NO_WARNINGS: readonly Warning[] = [];

function required<T>(value: T | null): T {
  if (value === null) throw new Error('The catalog has a file that lacks a column of its state.');
  return value;
}

type UploadColumns = Omit<FileRow, 'id' | 'dataset_id' | 'filename' | 'stem' | 'kind' | 'state' | 'created_at'>;

const NO_UPLOAD: UploadColumns = {
  settled_at: null,
  via: null,
  promised_bytes: null,
  expires_at: null,
  arriving_until: null,
  arriving_by: null,
  alive_until: null,
  size_bytes: null,
  sha256: null,
  content_type: null,
  facts: null,
  warnings: null,
  blob_version: null,
  problem: null,
};

/** The columns that change with the state of an upload. */
export const UPLOAD_COLUMNS = ['state', ...(Object.keys(NO_UPLOAD) as (keyof UploadColumns)[])] as const;

export const FILE_COLUMNS = [
  'id',
  'dataset_id',
  'filename',
  'stem',
  'kind',
  'created_at',
  ...UPLOAD_COLUMNS,
] as const satisfies readonly (keyof FileRow)[];

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
        promised_bytes: upload.expectedBytes,
        expires_at: upload.expiresAt,
        arriving_until: upload.leaseUntil,
        arriving_by: upload.leaseToken,
        alive_until: liveUntil(upload),
      };
    case 'received':
      return {
        ...inspectedColumns(upload),
        settled_at: upload.receivedAt,
        arriving_until: upload.leaseUntil,
        arriving_by: upload.leaseToken,
      };
    case 'stored':
      return {
        ...inspectedColumns(upload),
        settled_at: upload.finalizedAt,
        problem: upload.problem === undefined ? null : JSON.stringify(upload.problem),
      };
    case 'rejected':
      return { ...NO_UPLOAD, problem: JSON.stringify(upload.problem), settled_at: upload.finalizedAt };
  }
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
