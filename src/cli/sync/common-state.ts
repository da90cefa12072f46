import { createHash } from 'node:crypto';
import { lstat, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolders } from '../../storage/make-folders.js';
import { readRegularFile } from '../../storage/regular-file.js';
import { NO_HOME, replaceOwnFile, settingsFolder } from '../remote.js';
import { printMessage } from '../terminal/print.js';
import { errorMessage } from '../terminal/text.js';
import type { Hashes } from './compare.js';

const FORMAT = 1;

/** A state of 100,000 files takes about 10 MB. */
const MAX_BYTES = 128 * 1024 * 1024;

/** A folder and a dataset that files are copied between. */
export interface SyncPair {
  /** Real paths, sorted; several if a push names files of several folders. */
  readonly folders: readonly string[];
  /** The URL of the service. */
  readonly url: string;
  readonly datasetId: string;
}

/**
 * What a folder and a dataset last had in common: a file is in common once the dataset has stored it. The state is a file beside
 * the saved credentials and never inside the folder, since trainers read the folder.
 */
export class CommonState {
  /** `undefined` if this user has no folder for it. */
  readonly #path: string | undefined;
  readonly #pair: SyncPair;
  #saved: SavedState;

  private constructor(pair: SyncPair, path: string | undefined, saved: SavedState) {
    this.#pair = pair;
    this.#path = path;
    this.#saved = saved;
  }

  /** Reads the state. A file that is missing or damaged counts as no state. */
  static async open(pair: SyncPair): Promise<CommonState> {
    const key = createHash('sha256').update(JSON.stringify([pair.folders, pair.url, pair.datasetId]));
    const folder = settingsFolder();
    const path = folder && join(folder, 'sync', `${key.digest('hex')}.json`);
    return new CommonState(pair, path, await readState(path));
  }

  get files(): Hashes {
    return this.#saved.files;
  }

  /** The versions that pushes have sent last, of files that the dataset was not known to have stored then. */
  get sent(): Hashes {
    return this.#saved.sent;
  }

  /**
   * Adds these files, and removes those that are `undefined`; atomically. If that is not possible, it warns: the next push or
   * pull then takes more differences for conflicts, and overwrites nothing.
   *
   * @param sent files to add to `sent`; those of `changes` are removed from it
   */
  async change(changes: ReadonlyMap<string, string | undefined>, sent: Hashes = new Map()): Promise<void> {
    if (changes.size + sent.size === 0) return;
    // Another process may have changed it in the meantime.
    const saved = await readState(this.#path);
    for (const [name, sha256] of sent) saved.sent.set(name, sha256);
    for (const [name, sha256] of changes) {
      saved.sent.delete(name);
      if (sha256 === undefined) saved.files.delete(name);
      else saved.files.set(name, sha256);
    }
    this.#saved = saved;
    const { folders, url, datasetId } = this.#pair;
    const hashes = { files: Object.fromEntries(saved.files), sent: Object.fromEntries(saved.sent) };
    const document = { format: FORMAT, folders, url, dataset_id: datasetId, ...hashes };
    try {
      if (this.#path === undefined) throw new Error(NO_HOME);
      await makeFolders(dirname(this.#path), { mode: 0o700 });
      await replaceOwnFile(this.#path, `${JSON.stringify(document)}\n`);
    } catch (error) {
      const reason = `what folder and dataset have in common could not be saved: ${errorMessage(error)}`;
      printMessage(`${reason}. Files that are changed later may be reported as conflicts.`);
    }
  }
}

/** The real paths of folders, sorted, each once. */
export async function realFolders(folders: readonly string[]): Promise<string[]> {
  return [...new Set(await Promise.all(folders.map((folder) => realpath(folder))))].sort();
}

interface SavedState {
  readonly files: Map<string, string>;
  readonly sent: Map<string, string>;
}

async function readState(path: string | undefined): Promise<SavedState> {
  const none = { files: new Map(), sent: new Map() };
  if (path === undefined) return none;
  try {
    if (!(await lstat(path)).isFile()) return none;
    // Earlier versions of this command did not write `sent`.
    const { format, files, sent = {} } = JSON.parse(await readRegularFile(path, { maxBytes: MAX_BYTES }));
    return format === FORMAT ? { files: hashesIn(files), sent: hashesIn(sent) } : none;
  } catch {
    return none;
  }
}

/** @throws TypeError if the values are not SHA-256 */
function hashesIn(value: object): Map<string, string> {
  const entries: [string, unknown][] = Object.entries(value);
  const isHash = (sha256: unknown) => typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
  if (!entries.every(([, sha256]) => isHash(sha256))) throw new TypeError('not a SHA-256');
  return new Map(entries as [string, string][]);
}
