import { type Painter, painterOf } from './print.js';
import { counted, formatBytes, truncated } from './text.js';

/** Redrawing more often would flicker. */
const REDRAW_MS = 100;

/** Time between two lines of a log. */
const LOG_INTERVAL_MS = 10_000;

const BAR_COLUMNS = 24;

/** Shows on standard error how far a command has come. */
export interface ProgressDisplay {
  /** `lines` is called only when they are drawn. A log gets the first of them. */
  readonly update: (lines: () => string[]) => void;
  /** Prints a line that stays. */
  readonly note: (line: string) => void;
  /** Erases what was drawn. */
  readonly clear: () => void;
}

/** Redraws lines on a terminal; elsewhere writes a line every ten seconds; if `isQuiet`, shows nothing. */
export function openProgressDisplay({ isQuiet }: { isQuiet: boolean }): ProgressDisplay {
  if (isQuiet) return { update: () => {}, note: () => {}, clear: () => {} };
  const canRedraw = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  return canRedraw ? new TerminalDisplay(process.stderr) : new LogDisplay(process.stderr);
}

class TerminalDisplay implements ProgressDisplay {
  readonly #stream: NodeJS.WriteStream;
  readonly #paint: Painter;
  #drawnLines = 0;
  #drawnAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #lines: (() => string[]) | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#paint = painterOf(stream);
  }

  update(lines: () => string[]): void {
    this.#lines = lines;
    // A timer draws the last of many quick updates, too.
    this.#timer ??= setTimeout(() => this.#draw(), Math.max(0, this.#drawnAt + REDRAW_MS - Date.now()));
  }

  note(line: string): void {
    this.#stream.write(`${this.#erasure()}${line}\n`);
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
      .map((line, index) => this.#paint(index === 0 ? 'cyan' : 'dim', truncated(line, columns - 1)));
    this.#stream.write(`${this.#erasure()}${lines.map((line) => `${line}\n`).join('')}`);
    this.#drawnLines = lines.length;
    this.#drawnAt = Date.now();
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
  readonly #stream: NodeJS.WriteStream;
  #writtenAt = Date.now();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  update(lines: () => string[]): void {
    if (Date.now() - this.#writtenAt < LOG_INTERVAL_MS) return;
    this.#writtenAt = Date.now();
    this.#stream.write(`${lines()[0]?.trim() ?? ''}\n`);
  }

  note(line: string): void {
    this.#stream.write(`${line}\n`);
  }

  clear(): void {}
}

/** `━━━━━━╌╌╌╌` */
export function bar(done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  // Full only at the very end: the last file often takes long.
  const full = share === 1 ? BAR_COLUMNS : Math.min(BAR_COLUMNS - 1, Math.floor(share * BAR_COLUMNS));
  return '━'.repeat(full) + '╌'.repeat(BAR_COLUMNS - full);
}

/** `━━━━━━╌╌╌╌  42 %  1.2 MB of 2.9 MB, 5 of 12 files` */
export function transferLine(progress: {
  doneBytes: number;
  totalBytes: number;
  doneFiles: number;
  totalFiles: number;
}): string {
  const { doneBytes, totalBytes, doneFiles, totalFiles } = progress;
  const bytes = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  const files = `${doneFiles.toLocaleString('en')} of ${counted(totalFiles, 'file')}`;
  return `${bar(doneBytes, totalBytes)} ${percent(doneBytes, totalBytes)}  ${bytes}, ${files}`;
}

/** ` 42 %` */
export function percent(done: number, total: number): string {
  return `${String(total === 0 ? 100 : Math.floor((done / total) * 100)).padStart(3)} %`;
}
