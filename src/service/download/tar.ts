import { Readable } from 'node:stream';
import { Header } from 'tar/header';
import { MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { type ArchivedFile, type Chunks, readAhead, withoutStart } from './read-ahead.js';

/** An archive consists of 512-byte blocks and ends with two of zeros (POSIX.1-2017, pax, *ustar interchange format*). */
const BLOCK_BYTES = 512;
const END = Buffer.alloc(2 * BLOCK_BYTES);

/** The longest name in a header of its own, with a zero. */
const MAX_NAME_BYTES = 100;

/** Smaller files are sent as one chunk with their padding: a chunk costs more time than a copy. */
const MAX_JOINED_BYTES = 16 * 1024;

/**
 * Writes files as one tar stream, in order. Memory does not depend on file size.
 *
 * @param read opens a file; if it fails, the stream is destroyed before `sizeBytes` are sent
 * @returns `open` starts the stream at the byte `from`; files that end before it are not read
 */
export function tarOf<F extends ArchivedFile>(
  files: readonly F[],
  read: (file: F) => Promise<Chunks>,
): { sizeBytes: number; open: (from?: number) => Readable } {
  const sizes = files.map((file) => headerBytesOf(file) + paddedBytes(file.upload.sizeBytes));
  const sizeBytes = sizes.reduce((sum, size) => sum + size, END.length);
  const open = (from = 0) => {
    let [first, skipped] = [0, 0];
    while (first < files.length && skipped + sizes[first]! <= from) skipped += sizes[first++]!;
    const parts = partsOf(files.slice(first), read);
    return Readable.from(withoutStart(parts, from - skipped), { objectMode: false });
  };
  return { sizeBytes, open };
}

async function* partsOf<F extends ArchivedFile>(
  files: readonly F[],
  read: (file: F) => Promise<Chunks>,
): AsyncGenerator<Buffer> {
  for await (const { file, bytes } of readAhead(files, read)) {
    yield headerOf(file);
    const padding = END.subarray(0, paddingOf(file.upload.sizeBytes));
    if (file.upload.sizeBytes > MAX_JOINED_BYTES) {
      yield* bytes;
      yield padding;
      continue;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of bytes) chunks.push(chunk);
    yield Buffer.concat([...chunks, padding]);
  }
  yield END;
}

function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function paddedBytes(sizeBytes: number): number {
  return sizeBytes + paddingOf(sizeBytes);
}

/**
 * Names are UTF-8, and a long one is in an entry before (GNU tar manual, *Basic Tar Format*, `GNUTYPE_LONGNAME`): every tar
 * reads that, while busybox ignores pax headers and would cut the name.
 */
function headerOf({ filename, upload }: ArchivedFile): Buffer {
  const mtime = new Date(Math.floor(upload.finalizedAt / MICROS_PER_SECOND) * 1000);
  const blockOf = (fields: ConstructorParameters<typeof Header>[0]) => {
    const block = Buffer.alloc(BLOCK_BYTES);
    new Header({ mode: 0o644, mtime, ...fields }).encode(block);
    return block;
  };
  const header = blockOf({ type: 'File', path: filename, size: upload.sizeBytes });
  const nameBytes = longNameBytes(filename);
  if (nameBytes === 0) return header;
  const name = Buffer.alloc(paddedBytes(nameBytes));
  name.write(filename);
  return Buffer.concat([
    blockOf({ type: 'NextFileHasLongPath', path: '././@LongLink', size: nameBytes }),
    name,
    header,
  ]);
}

/** Computed without the header: to make all headers would take seconds. */
function headerBytesOf({ filename }: ArchivedFile): number {
  const nameBytes = longNameBytes(filename);
  return nameBytes === 0 ? BLOCK_BYTES : 2 * BLOCK_BYTES + paddedBytes(nameBytes);
}

/** 0 if the name fits into the header of the file. */
function longNameBytes(filename: string): number {
  const bytes = Buffer.byteLength(filename);
  return bytes < MAX_NAME_BYTES ? 0 : bytes + 1;
}
