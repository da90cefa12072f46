import type { CopyProgress } from '../../service/transfer/copy.js';
import { painterOf, print } from './print.js';
import { counted, formatBytes, printable, truncated } from './text.js';

/** Minimum time between two redraws, against flicker. */
const REDRAW_MS = 100;

const LOG_INTERVAL_MS = 10_000;

const BAR_COLUMNS = 24;

export interface ProgressDisplay {
  /** A log prints only the first line. */
  readonly update: (lines: () => string[]) => void;
  /** Prints a line that stays. */
  readonly note: (line: string) => void;
  readonly clear: () => void;
}

/** Redraws lines on a terminal, and otherwise writes a line every ten seconds. If `isQuiet`, it shows nothing. */
export function openProgressDisplay({ isQuiet }: { isQuiet: boolean }): ProgressDisplay {
  if (isQuiet) return { update: () => {}, note: () => {}, clear: () => {} };
  return process.stderr.isTTY === true && process.env.TERM !== 'dumb' ? terminalDisplay() : logDisplay();
}

function terminalDisplay(): ProgressDisplay {
  const stream = process.stderr;
  const paint = painterOf(stream);
  let drawnLines = 0;
  let drawnAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let current: (() => string[]) | undefined;

  /** Moves up to the first line drawn, and clears the rest of the screen. */
  const erasure = () => {
    // The terminal echoes ctrl-C, which moves the cursor to the right; hence the carriage return.
    const up = drawnLines === 0 ? '' : `\r\u001b[${drawnLines}A\u001b[J`;
    drawnLines = 0;
    return up;
  };
  const draw = () => {
    clearTimeout(timer);
    timer = undefined;
    if (current === undefined) return;
    const { columns = 80, rows = 24 } = stream;
    // A cut after painting could remove the code that ends a colour.
    const texts = current()
      .slice(0, rows - 1)
      .map((line) => truncated(printable(line), columns - 1));
    const painted = texts.map((text, index) => `${paint(index === 0 ? 'cyan' : 'dim', text)}\n`);
    stream.write(erasure() + painted.join(''));
    drawnLines = texts.length;
    drawnAt = performance.now();
  };
  return {
    update: (lines) => {
      current = lines;
      // The timer also draws the last of several quick updates.
      timer ??= setTimeout(draw, Math.max(0, drawnAt + REDRAW_MS - performance.now()));
    },
    note: (line) => {
      stream.write(erasure());
      print(line, stream);
      draw();
    },
    clear: () => {
      current = undefined;
      draw();
      stream.write(erasure());
    },
  };
}

function logDisplay(): ProgressDisplay {
  let writtenAt = performance.now();
  const note = (line: string) => print(line, process.stderr);
  const update = (lines: () => string[]) => {
    if (performance.now() - writtenAt < LOG_INTERVAL_MS) return;
    writtenAt = performance.now();
    note(lines()[0]?.trim() ?? '');
  };
  return { update, note, clear: () => {} };
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
