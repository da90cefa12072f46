import type { PushProgress } from '../../client/client.js';
import { canRedraw, counted, fitted, formatBytes, painterOf, shown } from './terminal.js';

/** Drawing more often would only flicker. */
const REDRAW_MS = 100;

/** Where lines can't be drawn over again, one now and then tells that it goes on. */
const PLAIN_LINE_MS = 10_000;

const MOST_FILES_SHOWN = 8;
const BAR_COLUMNS = 24;

/** Tells on standard error how far a long piece of work is. */
export interface ProgressDisplay {
  /** `lines` is asked for only when it is time to show them; the first of them stands for all where there is no room. */
  readonly update: (lines: () => string[]) => void;
  /** Prints a line that stays. */
  readonly note: (line: string) => void;
  /** Takes away what was drawn. */
  readonly clear: () => void;
}

/** A ticker for the terminal, for a plain log, or, where `isQuiet`, for nobody. */
export function openProgressDisplay({ isQuiet }: { isQuiet: boolean }): ProgressDisplay {
  if (isQuiet) return { update: () => {}, note: () => {}, clear: () => {} };
  return canRedraw(process.stderr) ? new Redrawn(process.stderr) : new Plain(process.stderr);
}

class Redrawn implements ProgressDisplay {
  readonly #stream: NodeJS.WriteStream;
  readonly #paint: ReturnType<typeof painterOf>;
  #drawnLines = 0;
  #drawnAt = 0;
  #waiting: NodeJS.Timeout | undefined;
  #lines: (() => string[]) | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#paint = painterOf(stream);
  }

  update(lines: () => string[]): void {
    this.#lines = lines;
    // The last of a flurry of updates must be seen as well.
    this.#waiting ??= setTimeout(() => this.#draw(), Math.max(0, this.#drawnAt + REDRAW_MS - Date.now()));
  }

  note(line: string): void {
    this.#stream.write(`${this.#erasure()}${line}\n`);
    this.#draw();
  }

  clear(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    this.#lines = undefined;
    this.#stream.write(this.#erasure());
  }

  #draw(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    if (this.#lines === undefined) return;
    const { columns = 80, rows = 24 } = this.#stream;
    const lines = this.#lines()
      .slice(0, rows - 1)
      // Painted last: a line that is cut in the middle of a colour would never end it.
      .map((line, index) => this.#paint(index === 0 ? 'cyan' : 'dim', fitted(line, columns - 1)));
    this.#stream.write(`${this.#erasure()}${lines.map((line) => `${line}\n`).join('')}`);
    this.#drawnLines = lines.length;
    this.#drawnAt = Date.now();
  }

  /** Moves up to the first line drawn, and clears from there to the end of the screen. */
  #erasure(): string {
    // The terminal's own echo of ctrl-C may have moved the cursor to the right.
    const up = this.#drawnLines === 0 ? '' : `\r\u001b[${this.#drawnLines}A\u001b[J`;
    this.#drawnLines = 0;
    return up;
  }
}

class Plain implements ProgressDisplay {
  readonly #stream: NodeJS.WriteStream;
  #toldAt = Date.now();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  update(lines: () => string[]): void {
    if (Date.now() - this.#toldAt < PLAIN_LINE_MS) return;
    this.#toldAt = Date.now();
    this.#stream.write(`${lines()[0]?.trim() ?? ''}\n`);
  }

  note(line: string): void {
    this.#stream.write(`${line}\n`);
  }

  clear(): void {}
}

/** `━━━━━━╌╌╌╌`: so much of the whole. */
export function bar(done: number, whole: number): string {
  const share = whole === 0 ? 1 : Math.min(1, done / whole);
  // Full only when it is: the last file is often the one that people wait for.
  const full = share === 1 ? BAR_COLUMNS : Math.min(BAR_COLUMNS - 1, Math.floor(share * BAR_COLUMNS));
  return '━'.repeat(full) + '╌'.repeat(BAR_COLUMNS - full);
}

/**
 * The lines of a push: a bar for all bytes that the service has acknowledged, and a line for each file under way.
 *
 * @param since when sending began, in milliseconds since 1970, and how many bytes were there already
 */
export function pushLines(progress: PushProgress, since: { ms: number; bytes: number }): string[] {
  const { acknowledgedBytes, totalBytes, settledFiles, totalFiles, inFlight } = progress;
  const seconds = (Date.now() - since.ms) / 1000;
  const rate = seconds > 1 ? `, ${formatBytes((acknowledgedBytes - since.bytes) / seconds)}/s` : '';
  const bytes = `${formatBytes(acknowledgedBytes)} of ${formatBytes(totalBytes)}`;
  const files = `${settledFiles.toLocaleString('en')} of ${counted(totalFiles, 'file')}`;
  const line = `${bar(acknowledgedBytes, totalBytes)} ${percent(acknowledgedBytes, totalBytes)}  ${bytes}, ${files}${rate}`;
  const shownFiles = inFlight.slice(0, MOST_FILES_SHOWN).map(({ name, sentBytes, totalBytes: size }) => {
    const state =
      sentBytes >= size ? 'sent, being checked' : `${percent(sentBytes, size)} of ${formatBytes(size)} sent`;
    return `  ${shown(name)}  ${state}`;
  });
  const more = inFlight.length - shownFiles.length;
  return [line, ...shownFiles, ...(more > 0 ? [`  … and ${more} more`] : [])];
}

function percent(done: number, whole: number): string {
  return `${String(whole === 0 ? 100 : Math.floor((done / whole) * 100)).padStart(3)} %`;
}
