import type { Readable } from 'node:stream';
import type { StoredFile } from '../../dataset/dataset.js';

/** A file up to this size is read whole before its turn comes, so that no file waits for the disk behind another. */
const SMALL_BYTES = 256 * 1024;

/** What may be read ahead, in all. */
const AHEAD_BYTES = 1024 * 1024;

/**
 * Files with their bytes, one after the other, for archives that have to say beforehand how many there are. Each file's bytes
 * are to be gone through before the next file is asked for.
 *
 * @param read gives the bytes of a file; where it fails, or gives other than as many as the file has, so does the iteration
 */
export async function* readAhead(
  files: readonly StoredFile[],
  read: (file: StoredFile) => Promise<Readable>,
): AsyncGenerator<{ file: StoredFile; bytes: AsyncIterable<Buffer> }> {
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
  for (const file of files) {
    readAhead();
    const whole = ahead.get(file);
    yield { file, bytes: counted(file, () => whole ?? read(file)) };
    if (ahead.delete(file)) aheadBytes -= file.upload.sizeBytes;
  }
}

async function wholeOf(file: StoredFile, read: (file: StoredFile) => Promise<Readable>): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of await read(file)) chunks.push(chunk);
  return chunks;
}

/** Opens the file only when it is read: nobody would close it where nobody comes to it any more. */
async function* counted(
  { id, filename, upload }: StoredFile,
  open: () => Promise<Iterable<Buffer> | AsyncIterable<Buffer>>,
): AsyncGenerator<Buffer> {
  let left = upload.sizeBytes;
  for await (const chunk of await open()) {
    left -= chunk.length;
    if (left < 0) break;
    yield chunk;
  }
  if (left !== 0) throw new Error(`${filename} (${id}) has not ${upload.sizeBytes} bytes in the store any more.`);
}
