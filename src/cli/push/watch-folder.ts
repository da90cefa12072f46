import { watch } from 'node:fs';
import { sleep } from '../../client/retry.js';
import { isFolder } from '../folder/read-folder.js';
import { CommandError, EXIT, endingOf } from '../terminal/exit-codes.js';
import { painterOf, print } from '../terminal/print.js';
import { planLines, printPushReport, pushDocument } from './output.js';
import type { PushPlan } from './plan.js';
import { type PushReport, type PushTask, preparePush, runPush } from './run.js';

/** The folder is read after this time without a change, since editors and cameras write a file in several steps. */
const QUIET_MS = 400;

/** The pause before another attempt when the service does not answer. */
const RETRY_MS = 5000;

/** How `push --watch` prints its work. */
export interface WatchView {
  readonly showPlan: (plan: PushPlan) => void;
  readonly showReport: (plan: PushPlan, report: PushReport) => void;
}

/** Prints text; of each plan, only the lines that the previous plan did not have. */
export function linesView(): WatchView {
  let previous: ReadonlySet<string> = new Set();
  return {
    showPlan: (plan) => {
      const lines = planLines(plan, painterOf(process.stdout));
      for (const line of lines) if (!previous.has(line)) print(line);
      previous = new Set(lines);
    },
    showReport: printPushReport,
  };
}

/** Prints a JSON document for each push, on one line. */
export const jsonView: WatchView = {
  showPlan: () => {},
  showReport: (plan, report) => print(JSON.stringify(pushDocument(plan, report))),
};

/** Pushes a folder after each of its changes until ctrl-C. Leaves out files with problems. */
export async function watchAndPush(task: PushTask, view: WatchView): Promise<void> {
  const [folder = ''] = task.paths;
  const { client, signal, display } = task;
  // `pushChanges` waits for READY itself, since the next change of the folder ends that wait.
  const singlePush = { ...task, waits: false, rules: { ...task.rules, skipsBad: true } };
  const changes = new FolderChanges(folder, signal);
  let hasPushed = false;

  const pushChanges = async (changed: AbortSignal): Promise<void> => {
    const { plan, dataset } = await preparePush(singlePush);
    view.showPlan(plan);
    // Blockers concern the whole folder, such as captions without any image; the next change may remove them.
    if (plan.blockers.length > 0) return;
    const missing = dataset === undefined ? plan.files : await client.missing(dataset, plan.files, { signal });
    if (hasPushed && missing.length === 0 && plan.toRemove.length === 0) return;
    const report = await runPush(singlePush, plan);
    const either = AbortSignal.any([signal, changed]);
    const ready = await client.waitUntilReady(report.dataset.id, { signal: either }).catch((error) => {
      if (signal.aborted || !changed.aborted) throw error;
      return report.dataset;
    });
    hasPushed = true;
    view.showReport(plan, { ...report, dataset: ready });
  };

  for (let isFirst = true; ; isFirst = false) {
    let mustRetry = false;
    try {
      await pushChanges(changes.begin());
    } catch (error) {
      mustRetry = await reportFailure(error, { folder, task });
    }
    if (isFirst) display.note(`Watching ${folder} for changes. Press ctrl-C to stop.`);
    try {
      await (mustRetry ? sleep(RETRY_MS, signal) : changes.untilQuiet());
    } catch {
      // Ctrl-C between two pushes ends the command normally.
      return;
    }
  }
}

/**
 * Reports why a push failed.
 *
 * @returns whether to retry it although the folder has not changed
 * @throws the error if `--watch` can't continue after it
 */
async function reportFailure(error: unknown, { folder, task }: { folder: string; task: PushTask }): Promise<boolean> {
  const { code, message } = endingOf(error);
  const isServiceDown = code === EXIT.unavailable || code === EXIT.temporaryFailure;
  if (task.signal.aborted || (!isServiceDown && code !== EXIT.noInput)) throw error;
  // An empty folder can fill again. A folder that was deleted or replaced by a file ends the command.
  if (!isServiceDown && !(await isFolder(folder))) throw error;
  task.display.note(message);
  return isServiceDown;
}

/** Watches a folder, and waits for changes to end. */
class FolderChanges {
  readonly #signal: AbortSignal;
  #changed = new AbortController();
  #changedAt = 0;

  /** @throws CommandError with 66 if the folder can't be watched */
  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal;
    try {
      const watcher = watch(folder, { signal }, () => {
        this.#changedAt = Date.now();
        this.#changed.abort();
      });
      watcher.on('error', () => this.#changed.abort());
    } catch (error) {
      throw new CommandError(EXIT.noInput, `${folder} can't be watched: ${(error as Error).message}`, { cause: error });
    }
  }

  /** @returns a signal that the next change aborts */
  begin(): AbortSignal {
    this.#changed = new AbortController();
    return this.#changed.signal;
  }

  /** Waits for a change since `begin`, and then until `QUIET_MS` have passed without one. @throws the signal's reason */
  async untilQuiet(): Promise<void> {
    const either = AbortSignal.any([this.#signal, this.#changed.signal]);
    if (!either.aborted) await new Promise((resolve) => either.addEventListener('abort', resolve, { once: true }));
    this.#signal.throwIfAborted();
    for (let ms = QUIET_MS; ms > 0; ms = this.#changedAt + QUIET_MS - Date.now()) await sleep(ms, this.#signal);
  }
}
