import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

/** The path is no regular file, or the file is too large. */
export class UnreadableFile extends Error {}

/**
 * Opens a file to read it; follows links. Opening a pipe waits for a writer, and opening a device can act on it.
 *
 * @throws UnreadableFile; the system's errors
 */
export async function openRegularFile(path: string): Promise<FileHandle> {
  const rejection = () => new UnreadableFile(`${path} is not a file`);
  if (!(await stat(path)).isFile()) throw rejection();
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw rejection();
}

/** Reads a whole file as UTF-8. @throws as `openRegularFile` */
export async function readRegularFile(path: string, { maxBytes }: { maxBytes: number }): Promise<string> {
  const handle = await openRegularFile(path);
  try {
    if ((await handle.stat()).size > maxBytes) throw new UnreadableFile(`${path} is larger than ${maxBytes} bytes`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
