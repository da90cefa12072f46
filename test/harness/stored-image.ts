import type { PendingFile, StoredFile } from '../../src/dataset/dataset.js';
import { mediaTypeOf } from '../../src/dataset/media.js';
import { errorIn } from '../../src/dataset/problems.js';
import type { FileChange } from '../../src/storage/catalog/file-changes.js';

/** A stored image, with its name as its id. */
export function imageNamed(name: string): StoredFile {
  const facts = { kind: 'image', format: 'jpeg', width: 10, height: 20 } as const;
  const sha256 = Buffer.from(name).toString('hex').padStart(64, '0');
  const bytes = { sizeBytes: 1, sha256, contentType: 'image/jpeg', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: null, finalizedAt: 1 } as const;
  return { id: name, datasetId: 'd', filename: `${name}.jpg`, kind: 'image', createdAt: 1, upload };
}

let uploads = 0;

/** By default a direct upload, whose lease `me` has. */
export function pendingNamed(
  datasetId: string,
  filename: string,
  as: Partial<PendingFile['upload']> = {},
): PendingFile {
  const direct = { state: 'pending', via: 'direct', expectedBytes: null, expiresAt: 900 } as const;
  const upload = { ...direct, leaseUntil: 900, leaseToken: 'me', ...as };
  return { id: `upload-${++uploads}`, datasetId, filename, kind: mediaTypeOf(filename)!.kind, createdAt: 1, upload };
}

/** An unused link for five bytes. */
export const linkNamed = (datasetId: string, filename: string, expiresAt: number): PendingFile =>
  pendingNamed(datasetId, filename, { via: 'link', expectedBytes: 5, expiresAt, leaseUntil: null, leaseToken: null });

/** A change of one name. */
export function at(datasetId: string, filename: string, now = 50): FileChange {
  return { datasetId, filenames: [filename], now, isActivity: true };
}

/** The problem of `a.jpg` after its bytes were lost. */
export const LOST = errorIn('a.jpg', 'BYTES_LOST', 'The bytes of a.jpg are lost.');
