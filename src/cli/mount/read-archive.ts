import type { PlacedFile } from '../../service/mount/mount-source.js';

/** A tar archive consists of 512-byte blocks (POSIX.1-2017, pax, *ustar interchange format*). */
const BLOCK_BYTES = 512;
const SIZE_AT = 124;
const TYPE_AT = 156;
const LONG_NAME = 'L'.charCodeAt(0);
const MAX_LONG_NAME_BYTES = 16 * 1024;

/** Yields the files of an archive in the requested order, unchecked. Ends at an unexpected entry or a broken connection. */
export async function* filesOfArchive(
  body: AsyncIterable<Uint8Array>,
  files: readonly PlacedFile[],
): AsyncGenerator<{ file: PlacedFile; bytes: Buffer }> {
  const stream = body[Symbol.asyncIterator]();
  const read = readerOf(stream);
  try {
    for (const file of files) {
      let header = await read(BLOCK_BYTES);
      // A long name is an entry before its file (GNU tar manual, *Basic Tar Format*).
      if (header[TYPE_AT] === LONG_NAME && sizeIn(header) <= MAX_LONG_NAME_BYTES) {
        await read(sizeIn(header) + paddingOf(sizeIn(header)));
        header = await read(BLOCK_BYTES);
      }
      if (sizeIn(header) !== file.sizeBytes) return;
      yield { file, bytes: await read(file.sizeBytes) };
      await read(paddingOf(file.sizeBytes));
    }
  } catch (error) {
    // The body of `fetch` fails with a TypeError.
    if (!(error instanceof TypeError)) throw error;
  } finally {
    await stream.return?.();
  }
}

function sizeIn(header: Buffer): number {
  return Number.parseInt(header.toString('latin1', SIZE_AT, SIZE_AT + 11), 8);
}

function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** Reads the next bytes of a stream. It throws a TypeError, as `fetch` does, at an early end. */
function readerOf(stream: AsyncIterator<Uint8Array>): (length: number) => Promise<Buffer> {
  let rest: Uint8Array = new Uint8Array();
  return async (length) => {
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      if (rest.length === 0) {
        const next = await stream.next();
        if (next.done) throw new TypeError('terminated');
        rest = next.value;
      }
      const part = rest.subarray(0, length - done);
      bytes.set(part, done);
      rest = rest.subarray(part.length);
      done += part.length;
    }
    return bytes;
  };
}
