import { Readable } from 'node:stream';
import { Header } from 'tar/header';
import { Pax } from 'tar/pax';
import { MICROS_PER_SECOND, type StoredFile } from '../../dataset/dataset.js';
import { readAhead } from './read-ahead.js';

/** A tar archive consists of 512-byte blocks and ends with two of zeros (POSIX.1-2017, pax, *ustar interchange format*). */
const BLOCK_BYTES = 512;
const END = Buffer.alloc(2 * BLOCK_BYTES);

/**
 * Writes files as one tar stream, in order. A name that is too long or not ASCII gets a pax header. Memory does not
 * depend on file size, and holds one header of half a kilobyte per file.
 *
 * @param read opens the bytes of a file; if it fails, the stream is destroyed with its error before `sizeBytes` are sent
 */
export function tarOf(
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
  let i = 0;
  for await (const { file, bytes } of readAhead(files, read)) {
    yield headers[i++]!;
    yield* bytes;
    const padding = paddingOf(file.upload.sizeBytes);
    if (padding > 0) yield END.subarray(0, padding);
  }
  yield END;
}

function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function headerOf({ filename, upload }: StoredFile): Buffer {
  const mtime = new Date((upload.finalizedAt / MICROS_PER_SECOND) * 1000);
  const header = new Header({ type: 'File', path: filename, size: upload.sizeBytes, mode: 0o644, mtime });
  const block = Buffer.alloc(BLOCK_BYTES);
  const needsPax = header.encode(block);
  return needsPax ? Buffer.concat([new Pax({ path: filename, size: upload.sizeBytes }).encode(), block]) : block;
}
