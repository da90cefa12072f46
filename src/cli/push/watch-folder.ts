import { watch as watchFolder } from 'node:fs';
import { sleep } from '../../client/retry.js';
import { isFolder } from '../folder/read-folder.js';
import { CommandError, EXIT, endingOf } from '../terminal/exit-codes.js';
import { painterOf, print } from '../terminal/terminal.js';
import { planLines, printPushReport, pushDocument } from './output.js';
import { type PushTask, preparePush, runPush } from './run.js';

/** A folder is looked at once nothing has happened in it for so long: editors and cameras write in several steps. */
const QUIET_MS = 400;

/** Before the service is tried again that did not answer. */
const RETRY_MS = 5000;

/**
 * Brings every change of a folder into a dataset until ctrl-C. What is not fit yet, such as an image whose caption is still
 * to come, is left out until it is.
 */
export async function watchAndPush(sync: PushTask, { isJson }: { isJson: boolean }): Promise<void> {
  const [folder = ''] = sync.paths;
  const { signal, ticker } = sync;
  const changes = new Changes(folder, signal);
  const step = new Step({ ...sync, waits: false, rules: { ...sync.rules, skipsBad: true } }, isJson);
  for (let isFirst = true; ; isFirst = false) {
    const mustRetry = await step.take(changes.begin()).catch((error) => hasToWait(error, { folder, sync }));
    if (isFirst && !isJson) ticker.note(`Watching ${folder} for changes; ctrl-C ends.`);
    try {
      await (mustRetry ? sleep(RETRY_MS, signal) : changes.settle());
    } catch {
      // Between two steps ctrl-C is how this ends.
      return;
    }
  }
}

/** Tells what kept a step from being taken; `true` where time may mend it, `false` where only a change of the folder can. */
async function hasToWait(error: unknown, { folder, sync }: { folder: string; sync: PushTask }): Promise<boolean> {
  const { code, message } = endingOf(error);
  const isAway = code === EXIT.unavailable || code === EXIT.temporaryFailure;
  if (sync.signal.aborted || (!isAway && code !== EXIT.noInput)) throw error;
  // A folder that is gone, or was replaced by something else, is not an empty one: nothing may be removed for it.
  if (!isAway && !(await isFolder(folder))) throw error;
  sync.ticker.note(message);
  return isAway;
}

class Step {
  readonly #sync: PushTask;
  readonly #isJson: boolean;
  #told: ReadonlySet<string> = new Set();
  #hasRun = false;

  constructor(sync: PushTask, isJson: boolean) {
    this.#sync = sync;
    this.#isJson = isJson;
  }

  /** Makes the dataset like the folder. @param changed ends the waiting for READY, since there is more to do */
  async take(changed: AbortSignal): Promise<boolean> {
    const { client, signal } = this.#sync;
    const { plan, dataset } = await preparePush(this.#sync);
    if (!this.#isJson) this.#tellNews(planLines(plan, painterOf(process.stdout)));
    // What stands in the way of all, such as captions without any image; the next change may mend it.
    if (plan.obstacles.length > 0) return false;
    const missing = dataset === undefined ? plan.files : await client.missing(dataset, plan.files, { signal });
    if (this.#hasRun && missing.length === 0 && plan.toRemove.length === 0) return false;
    const outcome = await runPush(this.#sync, plan);
    const waiting = { signal: AbortSignal.any([signal, changed]) };
    const settled = await client.waitUntilReady(outcome.dataset.id, waiting).catch((error) => {
      if (signal.aborted || !changed.aborted) throw error;
      return outcome.dataset;
    });
    this.#hasRun = true;
    const done = { ...outcome, dataset: settled };
    if (this.#isJson) print(JSON.stringify(pushDocument(plan, done)));
    else printPushReport(plan, done);
    return false;
  }

  #tellNews(lines: readonly string[]): void {
    for (const line of lines) if (!this.#told.has(line)) print(line);
    this.#told = new Set(lines);
  }
}

/** What happens in a folder, in steps. */
class Changes {
  readonly #signal: AbortSignal;
  #step = new AbortController();
  #lastMs = 0;

  /** @throws CommandError with 66 for a folder that can't be watched */
  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal;
    try {
      const watcher = watchFolder(folder, { signal }, () => {
        this.#lastMs = Date.now();
        this.#step.abort();
      });
      watcher.on('error', () => this.#step.abort());
    } catch (error) {
      throw new CommandError(EXIT.noInput, `${folder} can't be watched: ${(error as Error).message}`, { cause: error });
    }
  }

  /** A signal that the first change from now on fires. */
  begin(): AbortSignal {
    this.#step = new AbortController();
    return this.#step.signal;
  }

  /** Returns once something has changed since `begin` and then nothing for a while. @throws the signal's reason */
  async settle(): Promise<void> {
    const step = this.#step.signal;
    const either = AbortSignal.any([this.#signal, step]);
    if (!either.aborted) await new Promise((resolve) => either.addEventListener('abort', resolve, { once: true }));
    this.#signal.throwIfAborted();
    for (let rest = QUIET_MS; rest > 0; rest = this.#lastMs + QUIET_MS - Date.now()) await sleep(rest, this.#signal);
  }
}
