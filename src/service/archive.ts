import { Readable } from 'node:stream';
import { Header } from 'tar/header';
import { Pax } from 'tar/pax';
import { MICROS_PER_SECOND, type StoredFile } from '../dataset/dataset.js';

/** A file up to this size is read whole before its turn comes, so that no file waits for the disk behind another. */
const SMALL_BYTES = 256 * 1024;

/** What may be read ahead, in all. */
const AHEAD_BYTES = 1024 * 1024;

/** A tar archive is made of blocks of so many bytes, and two empty ones end it (POSIX.1-2017, pax, *ustar interchange format*). */
const BLOCK_BYTES = 512;
const END = Buffer.alloc(2 * BLOCK_BYTES);

/**
 * Files as one tar stream, in the order given. Names that the old format has no room for, or no letters, are in pax headers.
 * Memory grows neither with the files nor with their number, but for a header of half a kilobyte each.
 *
 * @param read gives the bytes of a file; where it fails, the stream is destroyed with its error before its announced end
 */
export function archiveOf(
  files: readonly StoredFile[],
  read: (file: StoredFile) => Promise<Readable>,
): { sizeBytes: number; body: Readable } {
  const headers = files.map(headerOf);
  const sizeBytes = files.reduce(
    (sum, { upload }, i) => sum + headers[i]!.length + upload.sizeBytes + paddingOf(upload.sizeBytes),
    END.length,
  );
  return { sizeBytes, body: Readable.from(partsOf(files, headers, read), { objectMode: false }) };
}

async function* partsOf(
  files: readonly StoredFile[],
  headers: readonly Buffer[],
  read: (file: StoredFile) => Promise<Readable>,
): AsyncGenerator<Buffer> {
  const ahead = new Map<StoredFile, Promise<Buffer[]>>();
  let [next, aheadBytes] = [0, 0];
  const readAhead = () => {
    for (; next < files.length; next++) {
      const file = files[next]!;
      if (file.upload.sizeBytes > SMALL_BYTES) continue;
      if (aheadBytes + file.upload.sizeBytes > AHEAD_BYTES) return;
      aheadBytes += file.upload.sizeBytes;
      const bytes = wholeOf(file, read);
      // Whoever comes to the file's turn is told; until then nobody is.
      bytes.catch(() => {});
      ahead.set(file, bytes);
    }
  };
  for (const [i, file] of files.entries()) {
    readAhead();
    yield headers[i]!;
    const bytes = ahead.get(file);
    if (bytes === undefined) yield* await read(file);
    else {
      yield* await bytes;
      ahead.delete(file);
      aheadBytes -= file.upload.sizeBytes;
    }
    const padding = paddingOf(file.upload.sizeBytes);
    if (padding > 0) yield END.subarray(0, padding);
  }
  yield END;
}

async function wholeOf(file: StoredFile, read: (file: StoredFile) => Promise<Readable>): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of await read(file)) chunks.push(chunk);
  return chunks;
}

function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function headerOf({ filename, upload }: StoredFile): Buffer {
  const mtime = new Date((upload.settledAt / MICROS_PER_SECOND) * 1000);
  const header = new Header({ type: 'File', path: filename, size: upload.sizeBytes, mode: 0o644, mtime });
  const block = Buffer.alloc(BLOCK_BYTES);
  const needsPax = header.encode(block);
  return needsPax ? Buffer.concat([new Pax({ path: filename, size: upload.sizeBytes }).encode(), block]) : block;
}
