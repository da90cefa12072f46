import type { MountProgress } from '../../service/mount/stage-files.js';
import { canRedraw, counted, fitted, formatBytes, shown } from './terminal.js';

/** One line on standard error that is drawn over and over while something is under way; nothing where that can't be. */
export class ProgressLine {
  readonly #stream = process.stderr;
  readonly #isShown: boolean;
  #isDrawn = false;

  constructor({ isQuiet }: { isQuiet: boolean }) {
    this.#isShown = !isQuiet && canRedraw(this.#stream);
  }

  /** Of a dataset; bytes count once they are written and hashed. */
  show(name: string, { totalFiles, doneFiles, totalBytes, doneBytes }: MountProgress): void {
    const percent = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes);
    const bytes = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
    this.say(`${shown(name)}  ${percent} %  ${bytes}, ${doneFiles} of ${counted(totalFiles, 'file')}`);
  }

  say(text: string): void {
    if (!this.#isShown) return;
    this.#stream.write(`\r\x1b[2K${fitted(text, (this.#stream.columns ?? 80) - 1)}`);
    this.#isDrawn = true;
  }

  /** Leaves an empty line for whatever is printed next. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write('\r\x1b[2K');
    this.#isDrawn = false;
  }
}
