import { join } from 'node:path';
import { Parser } from 'tar/parse';
import type { ReadEntry } from 'tar/read-entry';
import { mountedNameOf } from '../../dataset/media.js';
import { IncomingFile } from './incoming-file.js';
import type { MountFile } from './mount-source.js';

/**
 * Brings files into `folder` from a tar stream, each checked against its size and SHA-256, and leaves out whatever else is
 * in it. `onFile` hears of each that is there, with the time of its last write in milliseconds since 1970.
 *
 * Ends early where the stream breaks off or is no archive: files that `onFile` has not heard of may be there in part.
 *
 * @throws the operating system's errors; the reason of a signal that breaks off the body
 */
export async function receiveArchive(
  body: AsyncIterable<Uint8Array>,
  files: readonly MountFile[],
  options: { folder: string; onBytes: (bytes: number) => void; onFile: (file: MountFile, mtimeMs: number) => void },
): Promise<void> {
  const wanted = new Map(files.map((file) => [file.filename, file]));
  let arriving: IncomingFile | undefined;
  const parser = new Parser({ strict: true });
  parser.on('entry', (entry: ReadEntry) => {
    const file = wanted.get(entry.path);
    // What has another size by now is fetched by itself, where it is found out why.
    if (file === undefined || entry.size !== file.sizeBytes || entry.type !== 'File') {
      entry.resume();
      return;
    }
    wanted.delete(file.filename);
    const part = new IncomingFile(join(options.folder, mountedNameOf(file.filename)), file, options.onBytes);
    arriving = part;
    entry.on('data', (chunk) => part.append(chunk));
    entry.on('end', () => {
      part.flush();
      if (part.isRight()) options.onFile(file, part.writtenAt());
      else part.restart();
      part.close();
      arriving = undefined;
    });
  });
  try {
    for await (const chunk of body) parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    parser.end();
  } catch (error) {
    // `fetch` breaks off with a TypeError.
    if (!(error instanceof TypeError || (error instanceof Error && 'tarCode' in error))) throw error;
  } finally {
    arriving?.flush();
    arriving?.close();
  }
}
