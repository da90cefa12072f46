import { join } from 'node:path';
import { hasErrno } from '../../../dataset/errors.js';
import { forEachConcurrent } from '../../../for-each-concurrent.js';
import { type HttpSource, type MountFile, nameTaken } from '../mount-source.js';
import { PartialFile } from './partial-file.js';
import { receiveFile } from './receive-file.js';

/** Small files are requested together, so that none of them costs a round trip of its own. */
const MAX_TOGETHER = 64;
const MAX_TOGETHER_BYTES = 16 * 1024 * 1024;

export interface ReceiveFilesOptions {
  /** Names in the folder of files that an earlier attempt received, in full or in part. */
  readonly started: ReadonlySet<string>;
  /** The name of a file in the folder. */
  readonly nameOf: (file: MountFile) => string;
  /** Concurrent requests. */
  readonly connections: number;
  readonly signal: AbortSignal;
  /** Called with the number of bytes received; negative if bytes are discarded. */
  readonly onBytes: (bytes: number) => void;
  /** Called for each complete file with its modification time in milliseconds since 1970. */
  readonly onFile: (file: MountFile, mtimeMs: number) => void;
}

/**
 * Downloads these files into `folder`. Files of an earlier attempt are kept and resumed if they match. The first
 * failure aborts all other requests.
 *
 * @throws MountError; DatasetChanged; the errors of the source; the signal's reason
 */
export async function receiveFiles(
  folder: string,
  files: readonly MountFile[],
  { read, readTogether }: HttpSource,
  { started, nameOf, connections, signal, onBytes, onFile }: ReceiveFilesOptions,
): Promise<void> {
  const inFlight = new Set<AbortController>();
  const abortAll = (reason: unknown) => {
    for (const controller of inFlight) controller.abort(reason);
  };
  const onAbort = () => abortAll(signal.reason);
  signal.addEventListener('abort', onAbort);
  // Each request gets its own signal: fetch removes its listeners from a signal only at garbage collection.
  const withSignal = async (work: (signal: AbortSignal) => Promise<void>) => {
    signal.throwIfAborted();
    const own = new AbortController();
    inFlight.add(own);
    try {
      await work(own.signal);
    } catch (error) {
      abortAll(error);
      throw error;
    } finally {
      inFlight.delete(own);
    }
  };
  const begun = new Set<MountFile>();
  const open = (file: MountFile): PartialFile => {
    const name = nameOf(file);
    const isNew = !started.has(name) && !begun.has(file);
    begun.add(file);
    try {
      return new PartialFile(join(folder, name), file, { isNew, onBytes });
    } catch (error) {
      throw isNew && hasErrno(error, 'EEXIST') ? nameTaken(file, { files, nameOf, cause: error }) : error;
    }
  };
  const receiveGroup = async (group: readonly MountFile[]) => {
    const missing = new Set(group);
    if (group.length > 1 && readTogether !== undefined) {
      const onReceived = (file: MountFile, mtimeMs: number) => {
        missing.delete(file);
        onFile(file, mtimeMs);
      };
      await withSignal(async (own) => {
        const body = await readTogether(group, own);
        if (body === undefined) return;
        const { receiveArchive } = await import('./receive-archive.js');
        await receiveArchive(body, group, { open, onFile: onReceived });
      });
    }
    for (const file of missing) {
      await withSignal(async (own) => onFile(file, await receiveFile(read, file, { open, signal: own })));
    }
  };
  try {
    await forEachConcurrent(
      groupsOf(files, (file) => started.has(nameOf(file))),
      connections,
      receiveGroup,
    );
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Files to request together. A file that an earlier attempt started is requested separately, to resume it. */
function* groupsOf(files: readonly MountFile[], isStarted: (file: MountFile) => boolean): Generator<MountFile[]> {
  let group: MountFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (file.sizeBytes > MAX_TOGETHER_BYTES || isStarted(file)) {
      yield [file];
      continue;
    }
    if (group.length === MAX_TOGETHER || bytes + file.sizeBytes > MAX_TOGETHER_BYTES) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(file);
    bytes += file.sizeBytes;
  }
  if (group.length > 0) yield group;
}
