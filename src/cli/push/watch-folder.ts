import { withAnySignal } from '../../abort-signals.js';
import { type DatasetWithFiles, type TrainyardClient, TrainyardError } from '../../client/client.js';
import { sleep } from '../../client/retry.js';
import { DatasetChanged } from '../../service/mount/mount-source.js';
import { isFolder } from '../folder/read-folder.js';
import { printPullReport, pullDocument } from '../pull/output.js';
import { type PullTask, preparePull, runPull } from '../pull/run.js';
import { Changes } from '../sync/changes.js';
import { conflictLines } from '../sync/conflicts.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { keptLines } from '../sync/report.js';
import { CommandError, EXIT, endingOf } from '../terminal/exit-codes.js';
import { painterOf, print } from '../terminal/print.js';
import { printable } from '../terminal/text.js';
import { jsonText } from '../../json-text.js';
import { conflictsOf, failureLines, planLines, printPushReport, pushDocument } from './output.js';
import { type PreparedPush, type PushTask, preparePush } from './prepare.js';
import type { PushPlan, PushProblem } from './plan.js';
import { laterReport, type PushReport, rememberStored } from './push-report.js';
import { endedReport, runPush } from './run.js';

/** The pause before another attempt when the service does not answer. */
const RETRY_MS = 5000;

/** A push to repeat after each change and, with `--both`, the pull after it. */
export interface WatchTask extends PushTask {
  /** Each push has a client of its own, so that its changes are one revision of the dataset. */
  readonly newClient: () => TrainyardClient;
  /** `undefined` without `--both`. */
  readonly pullOf: ((dataset: { id: string; name: string }) => PullTask) | undefined;
  /** Prints a JSON document on one line for each push and pull, instead of text. */
  readonly isJson: boolean;
}

/** A new dataset of that name would be another one. */
class DatasetDeleted extends CommandError {}

/** Pushes a folder after each of its changes until ctrl-C. Leaves out files with problems, and leaves conflicts alone. */
export async function watchAndPush(task: WatchTask): Promise<void> {
  const [folder = ''] = task.paths;
  const { signal, display } = task;
  const changes = new Changes(folder, signal);
  const watch = new FolderWatch(task, changes);
  for (let isFirst = true; ; isFirst = false) {
    let mustRetry = false;
    try {
      const changed = changes.begin();
      await watch.push(changed);
      await watch.pull();
    } catch (error) {
      mustRetry = await reportFailure(error, { folder, task });
    }
    const what = task.pullOf === undefined ? folder : `${folder} and the dataset`;
    if (isFirst) display.note(`Watching ${what} for changes. Press ctrl-C to stop.`);
    try {
      await (mustRetry ? sleep(RETRY_MS, signal) : changes.untilQuiet());
    } catch {
      // Ctrl-C between two pushes ends the command normally.
      return;
    }
  }
}

/** The pushes and pulls of one `push --watch`. */
class FolderWatch {
  readonly #task: WatchTask;
  readonly #changes: Changes;
  /** `undefined` until the first push has ended. */
  #dataset: { id: string; name: string } | undefined;
  /** Lines that have been printed and still hold. */
  #printed: ReadonlySet<string> = new Set();
  #conflicts = '';
  #last: SentPush | undefined;
  /** By filename, the version that the service has rejected, and why. It is not sent again: each event would send it once more. */
  readonly #rejected = new Map<string, { sha256: string | undefined; problem: PushProblem }>();

  constructor(task: WatchTask, changes: Changes) {
    this.#task = task;
    this.#changes = changes;
  }

  /** @param changed fires at the next change, and ends the wait for READY */
  async push(changed: AbortSignal): Promise<void> {
    const { signal, isJson, pullOf, newClient } = this.#task;
    const task = { ...this.#task, client: newClient() };
    const sent = await withLockedFolders(task.pair.folders, task, () => this.#send(task));
    if (sent === undefined) return;
    const { plan } = sent;
    let { report } = sent;
    // Outside of the lock, since the next change ends it.
    if (pullOf === undefined) {
      const dataset = await withAnySignal([signal, changed], (either) =>
        task.client.waitUntilReady(report.dataset.id, { signal: either }),
      ).catch((error) => {
        if (signal.aborted || !changed.aborted) throw error;
        return report.dataset;
      });
      report = await endedReport(task, plan, { report, dataset });
    }
    this.#dataset = report.dataset;
    this.#conflicts = conflictsIn(plan);
    this.#last = { plan, report };
    this.#noteRejected(this.#last);
    if (isJson) print(jsonText(pushDocument(plan, report, task.directionTo(report.dataset))));
    else printPushReport(plan, report);
  }

  /** Notes, and prints, what has become of the pending files of the last push. */
  async #endLast(task: PushTask, dataset: DatasetWithFiles): Promise<void> {
    if (this.#last === undefined || this.#last.report.pending.size === 0) return;
    await rememberStored(task, dataset);
    const { plan, report } = this.#last;
    const ended = laterReport(plan, report, dataset);
    this.#last = { plan, report: ended };
    this.#noteRejected(this.#last);
    if (ended.result.failed.length === report.result.failed.length) return;
    if (this.#task.isJson) print(jsonText(pushDocument(plan, ended, task.directionTo(dataset))));
    else for (const line of failureLines(ended.result, painterOf(process.stdout))) print(line);
  }

  #noteRejected({ plan: { sides }, report: { result } }: SentPush): void {
    for (const { name, error } of result.failed) {
      const problem = { code: 'REJECTED', filename: name, message: `${printable(name)} was rejected by the service.` };
      if (isRejection(error)) this.#rejected.set(name, { sha256: sides.folder.get(name), problem });
    }
  }

  /** @returns `undefined` if there is nothing to send or remove */
  async #send(task: PushTask): Promise<SentPush | undefined> {
    const { isJson, pullOf } = this.#task;
    const prepared = await preparePush(task);
    if (pullOf !== undefined && this.#dataset !== undefined && prepared.dataset?.id !== this.#dataset.id) {
      throw new DatasetDeleted(EXIT.noInput, `the dataset "${this.#dataset.name}" was deleted.`);
    }
    if (prepared.dataset !== undefined) await this.#endLast(task, prepared.dataset);
    const { folder } = prepared.plan.sides;
    const rejected = [...this.#rejected].filter(([name, { sha256 }]) => folder.get(name) === sha256);
    const plan = prepared.decide(
      new Map(),
      rejected.map(([, { problem }]) => problem),
    );
    if (!isJson) await this.#printPlan({ ...prepared, plan });
    // Blockers concern the whole folder, such as captions without any image; the next change may remove them.
    if (plan.blockers.length > 0) return undefined;
    const isIdle = plan.toSend.length + plan.toRemove.length + plan.toWithdraw.length === 0;
    if (this.#dataset !== undefined && isIdle && conflictsIn(plan) === this.#conflicts) return undefined;
    return { plan, report: await runPush(task, plan) };
  }

  /** Prints what is left out, kept or in conflict, unless the previous plan had it too. */
  async #printPlan(prepared: PreparedPush): Promise<void> {
    const { plan, dataset } = prepared;
    const paint = painterOf(process.stdout);
    const lines = planLines(plan, paint);
    if (dataset !== undefined) {
      // With `--both`, the pull fetches what the push keeps.
      const isKept = this.#task.pullOf === undefined;
      if (isKept) lines.push(...keptLines(plan.sync.kept, this.#task.directionTo(dataset)));
      lines.push(...conflictLines(await conflictsOf(this.#task, prepared, plan.sync.conflicts), paint));
    }
    for (const line of lines) if (!this.#printed.has(line)) print(line);
    this.#printed = new Set(lines);
  }

  /** Fetches what was changed in the dataset. */
  async pull(): Promise<void> {
    const { pullOf, isJson, client, pair } = this.#task;
    if (pullOf === undefined || this.#dataset === undefined) return;
    this.#changes.follow(client, this.#dataset.id);
    const task = pullOf(this.#dataset);
    const pulled = await withLockedFolders(pair.folders, task, async () => {
      const prepared = await preparePull(task);
      const { write, remove } = prepared.plan;
      return write.length + remove.length === 0
        ? undefined
        : { prepared, report: await runPull(task, prepared, prepared.plan) };
    });
    task.display.clear();
    if (pulled === undefined) return;
    const { prepared, report } = pulled;
    const { plan } = prepared;
    if (isJson) print(jsonText(pullDocument(prepared, plan, { report, task })));
    else printPullReport(prepared, plan, { report, task });
  }
}

interface SentPush {
  readonly plan: PushPlan;
  readonly report: PushReport;
}

/** Whether the service rejected a file because of its content, in its answer or after it. */
function isRejection(error: Error): boolean {
  if (error instanceof TrainyardError) return error.code === 'invalid_content' || error.code === 'too_large';
  return error instanceof CommandError && error.exitCode === EXIT.dataError;
}

function conflictsIn({ sync }: PushPlan): string {
  return sync.conflicts.join();
}

/**
 * Reports why a push failed.
 *
 * @returns whether to retry it although the folder has not changed
 * @throws the error if `--watch` can't continue after it
 */
async function reportFailure(error: unknown, { folder, task }: { folder: string; task: PushTask }): Promise<boolean> {
  if (error instanceof DatasetChanged && !task.signal.aborted) return true;
  if (error instanceof DatasetDeleted) throw error;
  const { code, message } = endingOf(error);
  const isServiceDown = code === EXIT.unavailable || code === EXIT.temporaryFailure;
  if (task.signal.aborted || (!isServiceDown && code !== EXIT.noInput)) throw error;
  // An empty folder can fill again. A folder that was deleted or replaced by a file ends the command.
  if (!isServiceDown && !(await isFolder(folder))) throw error;
  task.display.note(message);
  return isServiceDown;
}
