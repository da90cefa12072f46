import { type FSWatcher, watch } from 'node:fs';
import { withAnySignal } from '../../abort-signals.js';
import { type TrainyardClient, TrainyardError } from '../../client/client.js';
import { sleep } from '../../client/retry.js';
import { jsonText } from '../../json-text.js';
import { isFolder } from '../folder/read-folder.js';
import { commonChanges } from '../sync/compare.js';
import { conflictLines, keptLines } from '../sync/report.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT, endingOf } from '../terminal/exit-codes.js';
import { painterOf, print, withOwnCommand } from '../terminal/print.js';
import { printable } from '../terminal/text.js';
import {
  type PushReport,
  conflictsOf,
  endedReport,
  planLines,
  printPushReport,
  pushDocument,
  runPush,
} from './push.js';
import { type PushPlan, type PushTask, planOf, preparePush } from './plan.js';

/** Editors and cameras write a file in several steps. */
const QUIET_MS = 400;

/** Before another attempt when the service does not answer, or another client has changed a file. */
const RETRY_MS = 5000;

/** Pushes a folder after each change until ctrl-C. @param newClient one for each push, so that its changes are one revision */
export async function watchAndPush(task: PushTask, newClient: () => TrainyardClient): Promise<void> {
  const [folder = ''] = task.paths;
  const changes = changesOf(folder, task.signal);
  const pushes = new WatchedPushes();
  for (let isFirst = true; ; isFirst = false) {
    const changed = changes.begin();
    const mustRetry = await pushes
      .push({ ...task, client: newClient() }, changed)
      .catch((error) => retriesAfter(error, task));
    if (isFirst) task.display.note(`Watching ${folder} for changes. Press ctrl-C to stop.`);
    try {
      await (mustRetry ? sleep(RETRY_MS, task.signal) : changes.untilQuiet());
    } catch {
      // Ctrl-C between two pushes ends the command normally.
      return;
    }
  }
}

/** @returns whether to retry. @throws the error if `--watch` can't continue after it */
async function retriesAfter(error: unknown, { paths: [folder = ''], signal, display }: PushTask): Promise<boolean> {
  const { code, message } = endingOf(error);
  const isServiceDown = code === EXIT.unavailable || code === EXIT.temporaryFailure;
  if (signal.aborted || (!isServiceDown && code !== EXIT.noInput)) throw error;
  // An empty folder can fill again. A folder that was deleted or replaced by a file ends the command.
  if (!isServiceDown && !(await isFolder(folder))) throw error;
  display.note(withOwnCommand(message));
  return isServiceDown;
}

class WatchedPushes {
  #printed: ReadonlySet<string> = new Set();
  /** The conflicts of the last push; `undefined` before the first one. */
  #conflicts: string | undefined;
  /** By filename, the SHA-256 of rejected versions, which are not sent again at each change. */
  readonly #rejected = new Map<string, string | undefined>();

  /** @param changed ends the wait for READY. @returns whether another client's change must be compared by another push */
  async push(task: PushTask, changed: AbortSignal): Promise<boolean> {
    const { signal, flags } = task;
    const sent = await withLockedFolders(task.pair.folders, task, () => this.#send(task));
    if (sent === undefined) return false;
    // Outside of the lock, since the next change ends it.
    const dataset = await withAnySignal([signal, changed], (either) =>
      task.client.waitUntilReady(sent.dataset.id, { signal: either }),
    ).catch((error) => {
      if (signal.aborted || !changed.aborted) throw error;
      return sent.dataset;
    });
    const report = await endedReport(sent, dataset);
    const { plan, result, conflicts } = report;
    this.#conflicts = plan.sync.conflict.join();
    for (const { name, error } of result.failed) {
      if (isRejection(error)) this.#rejected.set(name, plan.sides.folder.get(name));
    }
    if (flags.json) print(jsonText(pushDocument(report)));
    else printPushReport(report);
    return conflicts.length > plan.sync.conflict.length;
  }

  async #send(task: PushTask): Promise<PushReport | undefined> {
    const prepared = await preparePush(task);
    const rejected = [...this.#rejected].filter(([name, sha256]) => prepared.sides.folder.get(name) === sha256);
    const without = rejected.map(([filename]) => {
      return { code: 'REJECTED', filename, message: `${printable(filename)} was rejected by the service.` };
    });
    const plan = without.length === 0 ? prepared : planOf({ ...prepared, without });
    if (!task.flags.json) await this.#printPlan(plan);
    // The next change may remove blockers of the whole folder, such as captions without any image.
    if (plan.blockers.length > 0) return undefined;
    const { common, folder, dataset } = plan.sides;
    const isSaved = [...commonChanges(common, folder, dataset).keys()].every((name) => plan.unusable.has(name));
    const isIdle = isSaved && plan.toSend.length + plan.toRemove.length + plan.toWithdraw.length === 0;
    return isIdle && plan.sync.conflict.join() === this.#conflicts ? undefined : runPush(plan);
  }

  /** Prints what is new since the previous plan. */
  async #printPlan(plan: PushPlan): Promise<void> {
    const paint = painterOf(process.stdout);
    const lines = planLines(plan, paint);
    if (plan.dataset !== undefined) {
      lines.push(...keptLines(plan.sync, plan.task.directionTo(plan.dataset)));
      lines.push(...conflictLines(await conflictsOf(plan), paint));
    }
    for (const line of lines) if (!this.#printed.has(line)) print(line);
    this.#printed = new Set(lines);
  }
}

/** Whether the service rejected the content, in its answer or after it. */
function isRejection(error: Error): boolean {
  if (error instanceof TrainyardError) return error.code === 'invalid_content' || error.code === 'too_large';
  return error instanceof CommandError && error.exitCode === EXIT.dataError;
}

/** The changes of a folder. */
function changesOf(folder: string, signal: AbortSignal) {
  let changed = new AbortController();
  // Not the time of day, which may be set back meanwhile.
  let changedAt = 0;
  let watcher: FSWatcher | undefined;
  const onChange = (_: string, filename: string | null) => {
    // A pull keeps its incomplete files in a hidden folder.
    if (filename?.startsWith('.')) return;
    changedAt = performance.now();
    changed.abort();
  };
  return {
    /** Watches the folder that has the path now: a mount may have replaced the earlier one. @throws CommandError with 66 */
    begin: () => {
      watcher?.close();
      changed = new AbortController();
      try {
        watcher = watch(folder, { signal }, onChange).on('error', () => changed.abort());
      } catch (error) {
        const message = `${folder} can't be watched: ${(error as Error).message}`;
        throw new CommandError(EXIT.noInput, message, { cause: error });
      }
      return changed.signal;
    },
    /** Waits for a change since `begin`, and then for `QUIET_MS` without one. @throws the signal's reason */
    untilQuiet: async () => {
      await withAnySignal([signal, changed.signal], async (either) => {
        if (!either.aborted) await new Promise((resolve) => either.addEventListener('abort', resolve, { once: true }));
      });
      for (let ms = QUIET_MS; ms > 0; ms = changedAt + QUIET_MS - performance.now()) await sleep(ms, signal);
    },
  };
}
