import type { StoredFile } from '../../src/dataset/dataset.js';
import { errorIn } from '../../src/dataset/problems.js';

/** A stored image, with its name as its id. */
export function imageNamed(name: string): StoredFile {
  const facts = { kind: 'image', format: 'jpeg', width: 10, height: 20 } as const;
  const sha256 = Buffer.from(name).toString('hex').padStart(64, '0');
  const bytes = { sizeBytes: 1, sha256, contentType: 'image/jpeg', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: null, finalizedAt: 1 } as const;
  return { id: name, datasetId: 'd', filename: `${name}.jpg`, kind: 'image', createdAt: 1, upload };
}

/** The problem of `a.jpg` after its bytes were lost. */
export const LOST = errorIn('a.jpg', 'BYTES_LOST', 'The bytes of a.jpg are lost.');
