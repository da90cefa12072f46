import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { CHECK_START, type CheckState, type StoreFinding } from './findings.js';

/** The first line. A journal of another installation or version is not continued. */
interface Head {
  readonly trainyard_check: 1;
  readonly installation: string;
  readonly startedAt: number;
}

type Line = { readonly finding: StoreFinding } | { readonly state: CheckState };

/**
 * The findings of a check and how far it has come, as JSON lines that are only appended to. A check that was interrupted,
 * even by a crash, continues after the last complete state.
 */
export class CheckJournal {
  readonly path: string;
  /** As it was at the opening. */
  readonly state: CheckState;
  /** In milliseconds since 1970. */
  readonly startedAt: number;
  readonly isContinued: boolean;
  readonly #handle: FileHandle;

  private constructor(path: string, opened: { handle: FileHandle; head: Head; state: CheckState | undefined }) {
    this.path = path;
    this.#handle = opened.handle;
    this.startedAt = opened.head.startedAt;
    this.state = opened.state ?? CHECK_START;
    this.isContinued = opened.state !== undefined;
  }

  /** Opens the journal of an interrupted check, or begins one. */
  static async open(
    path: string,
    options: { installation: string; startedAt: number; restarts: boolean },
  ): Promise<CheckJournal> {
    const { installation, startedAt } = options;
    if (options.restarts) await rm(path, { force: true });
    const handle = await open(path, 'a+', 0o600);
    const earlier = await readEnd(handle, path);
    if (earlier !== undefined && earlier.head.installation === installation) {
      // The findings after the last state are found again.
      await handle.truncate(earlier.bytes);
      return new CheckJournal(path, { handle, ...earlier });
    }
    await handle.truncate(0);
    const head: Head = { trainyard_check: 1, installation, startedAt };
    await handle.appendFile(`${JSON.stringify(head)}\n`);
    return new CheckJournal(path, { handle, head, state: undefined });
  }

  async add(findings: readonly StoreFinding[], state: CheckState): Promise<void> {
    const lines: Line[] = [...findings.map((finding) => ({ finding })), { state }];
    await this.#handle.appendFile(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  async *findings(): AsyncGenerator<StoreFinding> {
    for await (const { line } of linesOf(this.path)) {
      const parsed = parseLine(line);
      if ('finding' in parsed) yield parsed.finding;
    }
  }

  async close({ isComplete }: { isComplete: boolean }): Promise<void> {
    await this.#handle.close();
    if (isComplete) await rm(this.path, { force: true });
  }
}

/** The head, the last state, and the length of the journal up to it; `undefined` if there is none. */
async function readEnd(handle: FileHandle, path: string) {
  if ((await handle.stat()).size === 0) return undefined;
  let head: Head | undefined;
  let state: CheckState | undefined;
  let bytes = 0;
  try {
    for await (const { line, end } of linesOf(path)) {
      const parsed = parseLine(line);
      if ('trainyard_check' in parsed && parsed.trainyard_check === 1) head = parsed;
      else if ('state' in parsed) [state, bytes] = [parsed.state, end];
    }
  } catch (error) {
    // A crash cut the last line short, or something else wrote the file.
    if (!(error instanceof SyntaxError)) throw error;
  }
  return head && state && { head, state, bytes };
}

/** @throws SyntaxError if the line is not a JSON object */
function parseLine(line: string): Line | Head {
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed !== 'object' || parsed === null) throw new SyntaxError(`${line} is not an object`);
  return parsed as Line | Head;
}

/** The lines of a file of JSON, with the number of bytes up to the end of each. */
async function* linesOf(path: string): AsyncGenerator<{ line: string; end: number }> {
  let end = 0;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    end += Buffer.byteLength(line) + 1;
    yield { line, end };
  }
}
