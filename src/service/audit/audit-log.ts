import { appendFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { escapeOf } from '../../json-text.js';
import { BackendUnusable } from '../../storage/backend-unusable.js';
import { withoutTokens } from './without-tokens.js';

/** Lines that wait for the disk; later ones are dropped. */
const MAX_WAITING_LINES = 10_000;

const RETRY_MS = 2000;

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
  readonly #path: string;
  readonly #onStateChange: (error: unknown) => void;
  #waiting: string[] = [];
  #writing: Promise<void> | undefined;
  #isClosed = false;
  #isWritable = true;

  private constructor(path: string, onStateChange: (error: unknown) => void) {
    this.#path = path;
    this.#onStateChange = onStateChange;
  }

  /**
   * Creates the file if there is none.
   *
   * @param onStateChange is called with the error when a write fails for the first time, and with `undefined` once lines are
   * written again
   * @throws BackendUnusable if it can't be written
   */
  static async open(path: string, onStateChange: (error: unknown) => void): Promise<AuditLog> {
    await appendFile(path, '', { mode: 0o600 }).catch((error) => {
      const message = `The audit log can't be written: ${error.message}`;
      throw new BackendUnusable(message, { cause: error, isTemporary: false });
    });
    return new AuditLog(path, onStateChange);
  }

  get isWritable(): boolean {
    return this.#isWritable;
  }

  add(entry: AuditEntry): void {
    if (this.#waiting.length < MAX_WAITING_LINES) this.#waiting.push(lineOf(entry));
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
        await appendFile(this.#path, lines.join(''), { mode: 0o600 });
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
    this.#onStateChange(error);
  }
}

/** Appends one line. @throws the error of the file system */
export async function appendAuditEntry(path: string, entry: AuditEntry): Promise<void> {
  await appendFile(path, lineOf(entry), { mode: 0o600 });
}

/** Characters that control a terminal or the direction of text are escaped. */
function lineOf(entry: AuditEntry): string {
  const json = withoutTokens(JSON.stringify(entry));
  return `${json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeOf)}\n`;
}
