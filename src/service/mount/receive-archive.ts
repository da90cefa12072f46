import { join } from 'node:path';
import { Parser } from 'tar/parse';
import type { ReadEntry } from 'tar/read-entry';
import { mountedNameOf } from '../../dataset/media.js';
import type { MountFile } from './mount-source.js';
import { PartialFile } from './partial-file.js';

/**
 * Extracts these files of a tar stream into `folder`, checks each against its size and SHA-256, and ignores other entries.
 * `onFile` is called for each complete file with its modification time in milliseconds since 1970.
 *
 * Returns early if the stream ends early or is no archive; the remaining files may then exist in part.
 *
 * @throws the operating system's errors; the reason of a signal that aborts the body
 */
export async function receiveArchive(
  body: AsyncIterable<Uint8Array>,
  files: readonly MountFile[],
  options: { folder: string; onBytes: (bytes: number) => void; onFile: (file: MountFile, mtimeMs: number) => void },
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
    const part = new PartialFile(join(options.folder, mountedNameOf(file.filename)), file, options.onBytes);
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
  try {
    for await (const chunk of body) parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    parser.end();
  } catch (error) {
    // The body of `fetch` fails with a TypeError.
    if (!(error instanceof TypeError || (error instanceof Error && 'tarCode' in error))) throw error;
  } finally {
    current?.flush();
    current?.close();
  }
}
