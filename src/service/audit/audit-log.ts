import { fstatSync, type Stats } from 'node:fs';
import { appendFile, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { hasErrno } from '../../dataset/errors.js';
import { escapeOf } from '../../json-text.js';
import { withoutTokens } from './without-tokens.js';

/** Lines that wait for the disk; later ones are lost, and counted. */
const MAX_WAITING_LINES = 10_000;

const RETRY_MS = 2000;

export interface AuditLogOptions {
  readonly path: string;
  /** The file is renamed to `path.1`, and earlier ones on to `path.2` and so on, before it becomes larger. */
  readonly maxBytes: number;
  /** Renamed files that are kept. */
  readonly keptFiles: number;
  /** Called when a write fails for the first time, and when lines are written again. */
  readonly onStateChange: (error: unknown) => void;
}

/** What happened: who did what to what, from where, and how it ended. Never a secret or the text of a caption. */
export interface AuditEntry {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly action: string;
  readonly outcome: 'done' | 'failed';
  readonly [field: string]: unknown;
}

/**
 * Appends JSON lines to a file, in the background, so that no request waits for it. While the file can't be written, lines
 * wait in memory. The file is opened for each write, so that several processes may append, and other programs rotate it.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  #waiting: string[] = [];
  #writing: Promise<void> | undefined;
  #isClosed = false;
  #lost = 0;
  #isWritable = true;

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  get isWritable(): boolean {
    return this.#isWritable;
  }

  /** Lines that were never written. */
  get lostLines(): number {
    return this.#lost;
  }

  add(entry: AuditEntry): void {
    if (this.#waiting.length >= MAX_WAITING_LINES) this.#lost++;
    else this.#waiting.push(lineOf(entry));
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Writes the lines that wait, with one attempt. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        await this.#append(lines.join(''));
        if (!this.#isWritable) this.#setWritable(true, undefined);
      } catch (error) {
        this.#waiting = [...lines, ...this.#waiting];
        if (this.#isWritable) this.#setWritable(false, error);
        if (this.#isClosed) return;
        await wait(RETRY_MS);
      }
    }
  }

  #setWritable(isWritable: boolean, error: unknown): void {
    this.#isWritable = isWritable;
    this.#options.onStateChange(error);
  }

  async #append(text: string): Promise<void> {
    const { path, maxBytes } = this.#options;
    const size = await sizeOf(path);
    if (size > 0 && size + Buffer.byteLength(text) > maxBytes) await this.#rotate();
    await appendFile(path, text, { mode: 0o600 });
  }

  async #rotate(): Promise<void> {
    const { path, keptFiles } = this.#options;
    await rm(`${path}.${keptFiles}`, { force: true });
    for (let number = keptFiles - 1; number >= 0; number--) {
      const from = number === 0 ? path : `${path}.${number}`;
      await rename(from, `${path}.${number + 1}`).catch((error) => {
        if (!hasErrno(error, 'ENOENT')) throw error;
      });
    }
  }
}

/** Appends one line. @throws the error of the file system; Error for a named pipe */
export async function appendAuditEntry(path: string, entry: AuditEntry): Promise<void> {
  await requireAppendable(path);
  await appendFile(path, lineOf(entry), { mode: 0o600 });
}

/** Creates the file if there is none. @throws the error of the file system; Error for a named pipe */
export async function requireAppendable(path: string): Promise<void> {
  await sizeOf(path);
  await appendFile(path, '', { mode: 0o600 });
}

/**
 * The size of the file; 0 if there is none.
 *
 * @throws the error of the file system; Error for a named pipe, since opening it blocks until another program reads it (fifo(7))
 */
async function sizeOf(path: string): Promise<number> {
  try {
    const stats = await stat(path);
    if (stats.isFIFO() && !isOwnOutput(stats)) throw new Error(`${path} is a named pipe. Use a file.`);
    return stats.size;
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return 0;
    throw error;
  }
}

/** Whether it is the standard output or error of this process, as `/dev/stdout` in a pipeline. */
function isOwnOutput({ dev, ino }: Stats): boolean {
  return [1, 2].some((descriptor) => {
    const own = fstatSync(descriptor);
    return own.dev === dev && own.ino === ino;
  });
}

/** Characters that control a terminal or the direction of text are escaped. */
function lineOf(entry: AuditEntry): string {
  const json = withoutTokens(JSON.stringify(entry));
  return `${json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeOf)}\n`;
}
