import { createHash } from 'node:crypto';
import { lstat, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolders } from '../../storage/make-folders.js';
import { readRegularFile } from '../../storage/regular-file.js';
import { replaceOwnFile } from '../own-file.js';
import { NO_HOME, settingsFolder } from '../remote.js';
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
 * What a folder and a dataset last had in common. It is a file beside the saved credentials and never inside the folder,
 * since trainers read the folder.
 */
export class CommonState {
  /** `undefined` if this user has no folder for it. */
  readonly #path: string | undefined;
  readonly #pair: SyncPair;
  #files: Map<string, string>;

  private constructor(pair: SyncPair, path: string | undefined, files: Map<string, string>) {
    this.#pair = pair;
    this.#path = path;
    this.#files = files;
  }

  /** Reads the state. A file that is missing or damaged counts as no state. */
  static async open(pair: SyncPair): Promise<CommonState> {
    const key = createHash('sha256').update(JSON.stringify([pair.folders, pair.url, pair.datasetId]));
    const folder = settingsFolder();
    const path = folder && join(folder, 'sync', `${key.digest('hex')}.json`);
    return new CommonState(pair, path, await readFiles(path));
  }

  get files(): Hashes {
    return this.#files;
  }

  /**
   * Adds these files, and removes those that are `undefined`; atomically. If that is not possible, it warns: the next push or
   * pull then takes more differences for conflicts, and overwrites nothing.
   */
  async change(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
    if (changes.size === 0) return;
    // Another process may have changed it in the meantime.
    const files = await readFiles(this.#path);
    for (const [name, sha256] of changes) {
      if (sha256 === undefined) files.delete(name);
      else files.set(name, sha256);
    }
    this.#files = files;
    const { folders, url, datasetId } = this.#pair;
    const document = { format: FORMAT, folders, url, dataset_id: datasetId, files: Object.fromEntries(files) };
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

async function readFiles(path: string | undefined): Promise<Map<string, string>> {
  if (path === undefined) return new Map();
  try {
    if (!(await lstat(path)).isFile()) return new Map();
    const { format, files } = JSON.parse(await readRegularFile(path, { maxBytes: MAX_BYTES }));
    if (format !== FORMAT) return new Map();
    const entries = Object.entries(files);
    return entries.every(isHash) ? new Map(entries as [string, string][]) : new Map();
  } catch {
    return new Map();
  }
}

function isHash([, sha256]: [string, unknown]): boolean {
  return typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
}
