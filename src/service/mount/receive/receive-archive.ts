import { Parser } from 'tar/parse';
import type { ReadEntry } from 'tar/read-entry';
import type { MountFile } from '../mount-source.js';
import type { PartialFile } from './partial-file.js';

/** More than the headers of one file, and the end of an archive, take. */
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * Extracts these files of a tar stream, checks each against its size and SHA-256, and ignores other entries.
 * `onFile` is called for each complete file with its modification time in milliseconds since 1970.
 *
 * Returns early if the stream ends early, is not an archive, or is longer than one of these files; the remaining files may then exist in part.
 *
 * @throws the operating system's errors; the reason of a signal that aborts the body
 */
export async function receiveArchive(
  body: AsyncIterable<Uint8Array>,
  files: readonly MountFile[],
  options: {
    /** Opens the file to write. */
    open: (file: MountFile) => PartialFile;
    onFile: (file: MountFile, mtimeMs: number) => void;
  },
): Promise<void> {
  const wanted = new Map(files.map((file) => [file.filename, file]));
  let current: PartialFile | undefined;
  const parser = new Parser({ strict: true });
  parser.on('entry', (entry: ReadEntry) => {
    const file = wanted.get(entry.path);
    // A file of another size is requested by itself later; that request finds the cause.
    if (file === undefined || entry.size !== file.sizeBytes || entry.type !== 'File') {
      entry.resume();
      return;
    }
    wanted.delete(file.filename);
    const part = options.open(file);
    current = part;
    entry.on('data', (chunk) => part.append(chunk));
    entry.on('end', () => {
      part.flush();
      if (part.isComplete()) options.onFile(file, part.mtimeMs());
      else part.restart();
      part.close();
      current = undefined;
    });
  });
  let allowed = files.reduce((sum, { sizeBytes }) => sum + sizeBytes + MAX_HEADER_BYTES, MAX_HEADER_BYTES);
  let isFirst = true;
  try {
    for await (const chunk of body) {
      // The parser would uncompress an archive without a limit.
      if (isFirst && isCompressed(chunk)) return;
      isFirst = false;
      allowed -= chunk.length;
      if (allowed < 0) return;
      parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    }
    parser.end();
  } catch (error) {
    // The body of `fetch` fails with a TypeError.
    if (!(error instanceof TypeError || (error instanceof Error && 'tarCode' in error))) throw error;
  } finally {
    current?.flush();
    current?.close();
  }
}

/** Whether bytes begin as gzip (RFC 1952) or Zstandard (RFC 8878) do. No filename begins so. */
function isCompressed([first, second]: Uint8Array): boolean {
  return first === 0x1f || (first === 0x28 && (second === 0xb5 || second === undefined));
}
