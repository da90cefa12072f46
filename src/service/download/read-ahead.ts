import type { Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';

/** A file for an archive; a stored file is one. */
export interface ArchivedFile {
  readonly id: string;
  readonly filename: string;
  readonly upload: { readonly sizeBytes: number; readonly finalizedAt: Micros };
}

/** The bytes of a file. */
export type Chunks = AsyncIterable<Buffer> | Iterable<Buffer>;

/** Files up to this size are read ahead. */
export const READ_AHEAD_BYTES = 256 * 1024;

/** Limits of what is read ahead. A megabyte may be a hundred thousand captions, and to open all of them takes seconds. */
const MAX_AHEAD_BYTES = 1024 * 1024;
const MAX_AHEAD_FILES = 64;

/** Shared by all archives: what is read ahead stays in memory while the client of an archive does not read. */
const AHEAD_BUDGET_BYTES = 32 * 1024 * 1024;

/** Archives that are being sent. */
let archives = 0;

/**
 * Yields files in order with their bytes, reading small ones ahead. The caller must read the bytes of a file to their end
 * before it requests the next file. Throws if `read` fails, or if a file does not have its recorded size:
 * an archive states its size in advance.
 */
export async function* readAhead<F extends ArchivedFile>(
  files: readonly F[],
  read: (file: F) => Promise<Chunks>,
): AsyncGenerator<{ file: F; bytes: AsyncIterable<Buffer> }> {
  const ahead = new Map<F, Promise<Buffer[]>>();
  let [next, aheadBytes] = [0, 0];
  const startReads = () => {
    const maxBytes = Math.min(MAX_AHEAD_BYTES, AHEAD_BUDGET_BYTES / archives);
    for (; next < files.length; next++) {
      const file = files[next]!;
      if (file.upload.sizeBytes > READ_AHEAD_BYTES) continue;
      if (aheadBytes + file.upload.sizeBytes > maxBytes || ahead.size === MAX_AHEAD_FILES) return;
      aheadBytes += file.upload.sizeBytes;
      const bytes = readWhole(file, read);
      // Prevents an unhandled rejection. The error is thrown when the file's turn comes.
      bytes.catch(() => {});
      ahead.set(file, bytes);
    }
  };
  archives++;
  try {
    for (const [i, file] of files.entries()) {
      next = Math.max(next, i);
      startReads();
      const whole = ahead.get(file);
      yield { file, bytes: checkSize(file, () => whole ?? read(file)) };
      if (ahead.delete(file)) aheadBytes -= file.upload.sizeBytes;
    }
  } finally {
    archives--;
  }
}

async function readWhole<F>(file: F, read: (file: F) => Promise<Chunks>): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of await read(file)) chunks.push(chunk);
  return chunks;
}

/** Throws if the file does not have its recorded size. Opens the file only when iterated, so that no stream is left open. */
async function* checkSize({ id, filename, upload }: ArchivedFile, open: () => Promise<Chunks>): AsyncGenerator<Buffer> {
  let remaining = upload.sizeBytes;
  for await (const chunk of await open()) {
    remaining -= chunk.length;
    if (remaining < 0) break;
    yield chunk;
  }
  if (remaining !== 0) {
    const message = `${filename} (${id}) no longer has ${upload.sizeBytes} bytes in the store.`;
    throw new ServiceError('bytes_replaced', message);
  }
}
