import type { Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';

export interface ArchivedFile {
  readonly id: string;
  readonly filename: string;
  readonly upload: { readonly sizeBytes: number; readonly finalizedAt: Micros };
}

export type Chunks = AsyncIterable<Buffer> | Iterable<Buffer>;

export const READ_AHEAD_BYTES = 256 * 1024;

/** What an archive has in memory while its client does not read. */
const MAX_AHEAD_BYTES = 1024 * 1024;
const MAX_AHEAD_FILES = 64;

const AHEAD_BUDGET_BYTES = 32 * 1024 * 1024;
let archives = 0;

/**
 * Yields files in order, reading small ones ahead. The caller reads the bytes of each before it requests the next. Throws for a
 * file of another size than recorded, since an archive states its size in advance.
 *
 * @param read resolves for a small file when it has all bytes
 */
export async function* readAhead<F extends ArchivedFile>(
  files: readonly F[],
  read: (file: F) => Promise<Chunks>,
): AsyncGenerator<{ file: F; bytes: AsyncIterable<Buffer> }> {
  const small = files.filter(({ upload }) => upload.sizeBytes <= READ_AHEAD_BYTES).values();
  const ahead = new Map<F, Promise<Chunks>>();
  let [next, aheadBytes] = [small.next().value, 0];
  const startReads = () => {
    const maxBytes = Math.min(MAX_AHEAD_BYTES, AHEAD_BUDGET_BYTES / archives);
    while (next !== undefined && ahead.size < MAX_AHEAD_FILES && aheadBytes + next.upload.sizeBytes <= maxBytes) {
      const bytes = read(next);
      // The error is thrown when the file follows.
      bytes.catch(() => {});
      ahead.set(next, bytes);
      aheadBytes += next.upload.sizeBytes;
      next = small.next().value;
    }
  };
  archives++;
  try {
    for (const file of files) {
      startReads();
      if (file === next) next = small.next().value;
      yield { file, bytes: checkSize(file, () => ahead.get(file) ?? read(file)) };
      if (ahead.delete(file)) aheadBytes -= file.upload.sizeBytes;
    }
  } finally {
    archives--;
  }
}

/** Opens the file only when iterated, so that no stream is left open. */
async function* checkSize({ id, filename, upload }: ArchivedFile, open: () => Promise<Chunks>): AsyncGenerator<Buffer> {
  let remaining = upload.sizeBytes;
  for await (const chunk of await open()) {
    remaining -= chunk.length;
    if (remaining < 0) break;
    yield chunk;
  }
  if (remaining === 0) return;
  const message = `${filename} (${id}) no longer has ${upload.sizeBytes} bytes in the store.`;
  throw new ServiceError('bytes_replaced', message);
}

/** Leaves out the first bytes of a stream. */
export async function* withoutStart(parts: AsyncIterable<Buffer>, skippedBytes: number): AsyncGenerator<Buffer> {
  let left = skippedBytes;
  for await (const part of parts) {
    if (left < part.length) yield part.subarray(left);
    left = Math.max(0, left - part.length);
  }
}
