import type { CopyProgress } from '../../service/transfer/copy-blobs.js';
import { painterOf, print } from './print.js';
import { counted, formatBytes, printable, truncated } from './text.js';

/** Minimum time between two redraws, against flicker. */
const REDRAW_MS = 100;

/** Time between two lines of a log. */
const LOG_INTERVAL_MS = 10_000;

const BAR_COLUMNS = 24;

/** Shows the progress of a command on standard error. */
export interface ProgressDisplay {
  /** Calls `lines` each time it draws. A log prints only the first line. */
  readonly update: (lines: () => string[]) => void;
  /** Prints a line that stays. */
  readonly note: (line: string) => void;
  /** Erases what was drawn. */
  readonly clear: () => void;
}

/** Redraws lines on a terminal, and otherwise writes a line every ten seconds. If `isQuiet`, it shows nothing. */
export function openProgressDisplay({ isQuiet }: { isQuiet: boolean }): ProgressDisplay {
  if (isQuiet) return { update: () => {}, note: () => {}, clear: () => {} };
  const canRedraw = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  return canRedraw ? new TerminalDisplay() : new LogDisplay();
}

class TerminalDisplay implements ProgressDisplay {
  readonly #stream = process.stderr;
  readonly #paint = painterOf(process.stderr);
  #drawnLines = 0;
  #drawnAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #lines: (() => string[]) | undefined;

  update(lines: () => string[]): void {
    this.#lines = lines;
    // The timer also draws the last of several quick updates.
    this.#timer ??= setTimeout(() => this.#draw(), Math.max(0, this.#drawnAt + REDRAW_MS - performance.now()));
  }

  note(line: string): void {
    this.#stream.write(this.#erasure());
    print(line, this.#stream);
    this.#draw();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lines = undefined;
    this.#stream.write(this.#erasure());
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines === undefined) return;
    const { columns = 80, rows = 24 } = this.#stream;
    const lines = this.#lines()
      .slice(0, rows - 1)
      // Cut before painting: a cut could remove the code that ends a colour.
      .map((line, index) => this.#paint(index === 0 ? 'cyan' : 'dim', truncated(printable(line), columns - 1)));
    this.#stream.write(`${this.#erasure()}${lines.map((line) => `${line}\n`).join('')}`);
    this.#drawnLines = lines.length;
    this.#drawnAt = performance.now();
  }

  /** Moves the cursor up to the first line drawn, and clears from there to the end of the screen. */
  #erasure(): string {
    // The terminal echoes ctrl-C, which moves the cursor to the right; hence the carriage return.
    const up = this.#drawnLines === 0 ? '' : `\r\u001b[${this.#drawnLines}A\u001b[J`;
    this.#drawnLines = 0;
    return up;
  }
}

class LogDisplay implements ProgressDisplay {
  #writtenAt = performance.now();

  update(lines: () => string[]): void {
    if (performance.now() - this.#writtenAt < LOG_INTERVAL_MS) return;
    this.#writtenAt = performance.now();
    this.note(lines()[0]?.trim() ?? '');
  }

  note(line: string): void {
    print(line, process.stderr);
  }

  clear(): void {}
}

/** `━━━━━━╌╌╌╌` */
export function bar(done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  // The bar is full only at the very end, since the last file often takes long.
  const full = share === 1 ? BAR_COLUMNS : Math.min(BAR_COLUMNS - 1, Math.floor(share * BAR_COLUMNS));
  return '━'.repeat(full) + '╌'.repeat(BAR_COLUMNS - full);
}

/** `━━━━━━╌╌╌╌  42 %  1.2 MB of 2.9 MB, 5 of 12 files` */
export function transferLine({ doneBytes, totalBytes, doneFiles, totalFiles }: CopyProgress): string {
  const bytes = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  const files = `${doneFiles.toLocaleString('en')} of ${counted(totalFiles, 'file')}`;
  return `${bar(doneBytes, totalBytes)} ${percent(doneBytes, totalBytes)}  ${bytes}, ${files}`;
}

/** ` 42 %` */
export function percent(done: number, total: number): string {
  return `${String(total === 0 ? 100 : Math.floor((done / total) * 100)).padStart(3)} %`;
}
