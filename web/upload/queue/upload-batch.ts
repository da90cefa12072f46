import { MAX_LISTED } from '../../../src/api/limits.js';
import {
  type PushOutcome,
  type PushProgress,
  type TrainyardClient,
  TrainyardError,
} from '../../../src/client/client.js';
import type { ImportedGroup } from '../../../src/dataset/import/entry-paths.js';
import { messageOf } from '../../ui/format.js';
import { etagsIn, type QueuedFile } from './queued-file.js';
import { type ReplacedEntry, replaceEntry } from './replace-entry.js';
import { send } from './send.js';
import { isTemporaryFailure, pauseOrOnline, waitForService } from './wait-for-service.js';

/** A file whose connection breaks in this many pushes, while the service is reachable, counts as failed. */
const MAX_BROKEN_CONNECTIONS = 3;

/** The service reserves ten thousand uploads in less than this. */
const RESERVING_MS = 3000;

export type BatchPhase =
  | { readonly state: 'queued' | 'checking' | 'sending' | 'replacing' | 'waiting' }
  | { readonly state: 'cancelling' | 'cancelled' | 'done' }
  | { readonly state: 'stopped'; readonly reason: string };

let lastKey = 0;

export interface UploadFailure {
  readonly batch: UploadBatch;
  readonly file: QueuedFile;
  readonly reason: string;
  readonly remedy: Remedy;
}

export interface BatchOptions {
  readonly hidden: number;
  /** What is saved once the files are sent. */
  readonly groups?: readonly ImportedGroup[];
  readonly onChange: () => void;
  readonly onUploaded: (file: QueuedFile) => void;
}

/** Files that were added to a dataset together, and their progress. */
export class UploadBatch {
  /** Unique on this page. */
  readonly key = ++lastKey;
  readonly dataset: { readonly id: string; readonly name: string };
  /** Number of hidden system files that were skipped. */
  readonly hidden: number;
  phase: BatchPhase = { state: 'queued' };
  inFlight: PushProgress['inFlight'] = [];
  readonly uploaded = { files: 0, bytes: 0 };
  readonly #remaining: Map<QueuedFile, UploadAttempt>;
  /** Files that were uploaded, and what they replace once they are checked. */
  readonly #replacing = new Map<QueuedFile, ReplacedEntry>();
  readonly #failures = new Map<QueuedFile, FailedAttempt>();
  /** Failed files whose uploads may still be pending. Later, another client may upload their name. */
  readonly #unwithdrawn = new Set<QueuedFile>();
  /** Files that are stored beside the entry that they should have replaced, and why it was kept. */
  readonly #conflicts = new Map<QueuedFile, string>();
  #groups: ImportedGroup[];
  #wasReserving = false;
  readonly #onChange: () => void;
  readonly #onUploaded: (file: QueuedFile) => void;

  constructor(
    dataset: { readonly id: string; readonly name: string },
    files: readonly QueuedFile[],
    { hidden, groups = [], onChange, onUploaded }: BatchOptions,
  ) {
    this.#groups = [...groups];
    this.dataset = { id: dataset.id, name: dataset.name };
    this.hidden = hidden;
    this.#remaining = new Map(files.map((file) => [file, { brokenConnections: 0, etag: file.etag }]));
    this.#onChange = onChange;
    this.#onUploaded = onUploaded;
  }

  /** Whether files remain to be sent, or replaced: leaving the page would leave that undone. */
  get isUnfinished(): boolean {
    return this.#hasWork && this.phase.state !== 'cancelling';
  }

  get #hasWork(): boolean {
    return this.#remaining.size + this.#replacing.size > 0;
  }

  /** Whether the batch is complete or cancelled. */
  get hasEnded(): boolean {
    return this.phase.state === 'done' || this.phase.state === 'cancelled';
  }

  /** Files still to be sent or, in a cancelled batch, to be withdrawn. */
  get remaining(): { files: number; bytes: number } {
    let bytes = 0;
    for (const { size } of this.#remaining.keys()) bytes += size;
    return { files: this.#remaining.size, bytes };
  }

  /** Bytes that were sent and not acknowledged yet. */
  get sentBytes(): number {
    return this.inFlight.reduce((sum, file) => sum + file.sentBytes, 0);
  }

  get failures(): UploadFailure[] {
    return [...this.#failures].map(([file, { reason, remedy }]) => ({ batch: this, file, reason, remedy }));
  }

  get conflicts(): UploadFailure[] {
    return [...this.#conflicts].map(([file, reason]) => ({ batch: this, file, reason, remedy: 'listed' }));
  }

  /** Names of the files still to be sent. */
  get unsentNames(): string[] {
    return this.isUnfinished ? [...this.#remaining.keys()].map(({ name }) => name) : [];
  }

  /**
   * Sends the remaining files. The batch is then done, or has files to replace. While the service is unreachable, waits for it.
   *
   * @throws TrainyardError when the service rejects the whole batch; the signal's reason
   */
  async send(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    try {
      do {
        while (this.#remaining.size > 0) {
          const wasDisconnected = await this.#push(client, signal).then(
            () => [...this.#remaining.values()].some(({ brokenConnections }) => brokenConnections > 0),
            (error) => throwUnlessTemporary(error, signal),
          );
          if (wasDisconnected) await this.#waitForService(client, signal);
        }
        if (this.#unwithdrawn.size > 0) await this.#withdraw(client, [...this.#unwithdrawn], signal);
        this.#unwithdrawn.clear();
        // A failed file may have been queued again meanwhile.
      } while (this.#remaining.size > 0);
      await this.#saveGroups(client, signal);
      this.#enter({ state: this.#replacing.size > 0 ? 'replacing' : 'done' });
    } finally {
      this.inFlight = [];
    }
  }

  /** Removes what the uploaded files replace, once they are checked. @throws as `send` */
  async replace(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    while (this.#replacing.size > 0) {
      const wasDisconnected = await this.#replaceEntries(client, signal).then(
        () => false,
        (error) => throwUnlessTemporary(error, signal),
      );
      if (wasDisconnected) await this.#waitForService(client, signal);
    }
    // A file may have been sent again meanwhile.
    this.#enter({ state: this.#remaining.size > 0 ? 'queued' : 'done' });
  }

  async #waitForService(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    this.#enter({ state: 'waiting' });
    await waitForService(client, this.dataset.id, signal);
  }

  /** Withdraws the pending uploads of a cancelled batch, so that the dataset does not wait for them. */
  async withdraw(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    const files = [...this.#remaining.keys(), ...this.#replacing.keys(), ...this.#unwithdrawn];
    await this.#withdraw(client, files, signal);
    if (this.#wasReserving) {
      // The request that reserves the uploads was aborted, but the service may still be executing it.
      await pauseOrOnline(RESERVING_MS, signal);
      await this.#withdraw(client, files, signal);
    }
    this.endCancelled();
  }

  /** Ends a cancelled batch. Pending uploads that were not withdrawn expire with their links. */
  endCancelled(): void {
    this.#clear();
    this.#enter({ state: 'cancelled' });
  }

  cancel(): void {
    if (!this.isUnfinished) return;
    this.#wasReserving = this.phase.state === 'checking';
    this.phase = { state: 'cancelling' };
  }

  /** Puts an interrupted batch back in the queue. */
  requeue(): void {
    if (!this.hasEnded) this.#enter({ state: 'queued' });
  }

  /** Stops the batch until the user retries or cancels it. */
  stop(reason: string): void {
    this.#enter({ state: 'stopped', reason });
  }

  /** Queues a failed file again or, without one, all remaining files of a stopped batch. */
  retry(failed?: QueuedFile): void {
    if (this.phase.state === 'cancelling') return;
    const failure = failed && this.#failures.get(failed);
    if (failed !== undefined && failure !== undefined) {
      this.#failures.delete(failed);
      this.#unwithdrawn.delete(failed);
      this.#remaining.set(failed, { brokenConnections: 0, etag: failure.etag });
    }
    if (this.hasEnded || this.phase.state === 'stopped') this.phase = { state: 'queued' };
  }

  dismiss(file: QueuedFile): void {
    this.#failures.delete(file);
    this.#conflicts.delete(file);
  }

  /** Forgets why a file failed that was uploaded since. */
  dismissNamed(name: string): void {
    for (const file of this.#failures.keys()) if (file.name === name) this.#failures.delete(file);
  }

  async #replaceEntries(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    for (const [file, replaces] of this.#replacing) {
      this.#enter({ state: 'replacing' });
      const failed = await replaceEntry(client, this.dataset.id, { name: file.name, replaces, signal });
      this.#replacing.delete(file);
      if (failed?.why === 'rejected') {
        this.#countUploaded(file, -1);
        this.#fail(file, { reason: failed.reason, etag: file.etag, remedy: 'listed' });
      } else {
        if (failed !== undefined) this.#conflicts.set(file, failed.reason);
        this.#onUploaded(file);
      }
    }
  }

  async #push(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    this.#enter({ state: 'checking' });
    await client.push(this.dataset, [...this.#remaining.keys()], {
      send,
      signal,
      ifMatch: await versionsToReplace(client, this.dataset.id, { attempts: this.#remaining, signal }),
      onFileFinished: (file, outcome) => this.#finishFile(file, outcome),
      onProgress: ({ inFlight }) => {
        this.inFlight = inFlight;
        if (inFlight.length > 0) this.#enter({ state: 'sending' });
      },
    });
  }

  /** The groups of the files that were sent, which need not be stored yet. */
  async #saveGroups(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    const failed = new Set([...this.#failures.keys()].map(({ name }) => name));
    for (let [next] = this.#groups; next !== undefined; [next] = this.#groups) {
      const add = next.change.add.filter((name) => !failed.has(name));
      if (add.length > 0) await client.groups.save(this.dataset.id, next.name, { ...next.change, add }, { signal });
      this.#groups.shift();
    }
  }

  #finishFile(file: QueuedFile, outcome: PushOutcome): void {
    const attempt = this.#remaining.get(file);
    if (attempt === undefined) return;
    // The connection may have broken because the network was down: try again, but not forever.
    if (outcome instanceof TypeError && ++attempt.brokenConnections < MAX_BROKEN_CONNECTIONS) return;
    this.#remaining.delete(file);
    if (outcome instanceof Error) {
      if (!isOtherVersion(outcome)) this.#unwithdrawn.add(file);
      this.#fail(file, failedAttemptOf(outcome, file, attempt));
    } else {
      this.#countUploaded(file, 1);
      if (file.replaces !== undefined) this.#replacing.set(file, file.replaces);
      else this.#onUploaded(file);
    }
  }

  #fail(file: QueuedFile, { reason, ...failed }: FailedAttempt): void {
    const kept = file.replaces === undefined ? '' : ` ${file.replaces.filename} was not replaced.`;
    this.#failures.set(file, { reason: reason + kept, ...failed });
  }

  #countUploaded({ size }: QueuedFile, files: 1 | -1): void {
    this.uploaded.files += files;
    this.uploaded.bytes += files * size;
  }

  #clear(): void {
    this.#remaining.clear();
    this.#replacing.clear();
  }

  async #withdraw(client: TrainyardClient, files: readonly QueuedFile[], signal: AbortSignal): Promise<void> {
    const byName = new Map(files.map((file) => [file.name, file]));
    for (let hasMore = true; hasMore; ) {
      // Withdraws awaited names only: for any other name, this would clear the problem of an older upload.
      const { awaited = [] } = await client.status(this.dataset.id, { signal });
      const names = awaited.flatMap(({ filename }) => (byName.has(filename) ? filename : []));
      const answers = names.length === 0 ? [] : await client.bulk.withdraw(this.dataset.id, names, { signal });
      // The others are being received, or were uploaded after all.
      hasMore = awaited.length === MAX_LISTED && answers.some(({ withdrawn }) => withdrawn);
      // Otherwise they are to be sent again.
      if (this.phase.state === 'cancelling') for (const name of names) this.#remaining.delete(byName.get(name)!);
      this.#onChange();
    }
  }

  #enter(phase: BatchPhase): void {
    if (this.phase.state === 'cancelling' && phase.state !== 'cancelled') return;
    this.phase = phase;
    this.#onChange();
  }
}

/** Returns true if the service was unreachable for a while. @throws the signal's reason, and any other error */
function throwUnlessTemporary(error: unknown, signal: AbortSignal): true {
  signal.throwIfAborted();
  if (!isTemporaryFailure(error)) throw error;
  return true;
}

/** What is known of the upload of a file. */
interface UploadAttempt {
  brokenConnections: number;
  /** As in `QueuedFile`; known once the file is being sent. */
  etag: QueuedFile['etag'];
}

/**
 * The versions that the uploads replace, by filename. Reads those that are not known yet.
 *
 * @throws as the client does; the signal's reason
 */
async function versionsToReplace(
  client: TrainyardClient,
  datasetId: string,
  { attempts, signal }: { attempts: ReadonlyMap<QueuedFile, UploadAttempt>; signal: AbortSignal },
): Promise<Record<string, string | null>> {
  const unknown = [...attempts].filter(([, { etag }]) => etag === undefined);
  if (unknown.length > 0) {
    const stored = etagsIn(await client.status(datasetId, { signal }));
    for (const [{ name }, attempt] of unknown) attempt.etag = stored.has(name) ? stored.get(name) : null;
  }
  return Object.fromEntries(
    [...attempts].flatMap(([{ name }, { etag }]) => (etag === undefined ? [] : [[name, etag]])),
  );
}

/**
 * What helps after a failure: to send the same bytes again, or to choose another file. The dataset itself lists an upload whose
 * content it rejected, with the reason and what helps.
 */
type Remedy = 'retry' | 'replace' | 'listed';

/** Why an upload failed, what helps, and which version of its name another attempt replaces, as in `QueuedFile`. */
interface FailedAttempt extends Pick<UploadAttempt, 'etag'> {
  readonly reason: string;
  readonly remedy: Remedy;
}

/** The user who is told of another version, and retries the upload, replaces that one. */
function failedAttemptOf(error: Error, { name }: QueuedFile, { etag }: UploadAttempt): FailedAttempt {
  if (!isOtherVersion(error)) return { reason: messageOf(error), etag, remedy: remedyOf(error) };
  const reason =
    etag === null
      ? `Another version of ${name} was added to the dataset meanwhile. Retry replaces it.`
      : `${name} was changed or deleted in the dataset meanwhile. Retry replaces the version that is there.`;
  return { reason, etag: undefined, remedy: 'retry' };
}

/** The same file would be rejected again. */
const REJECTED_FOR_GOOD: readonly unknown[] = ['invalid_name', 'unsupported_type', 'too_large'];

function remedyOf(error: Error): Remedy {
  if (error instanceof TrainyardError) {
    if (error.code === 'invalid_content') return 'listed';
    return REJECTED_FOR_GOOD.includes(error.code) ? 'replace' : 'retry';
  }
  // A broken connection or a timeout; otherwise the file on disk could not be read.
  return error instanceof TypeError || error instanceof DOMException ? 'retry' : 'replace';
}

/** Whether the version in the dataset is not the one that the upload replaces. The upload has ended then. */
function isOtherVersion(error: Error): boolean {
  return error instanceof TrainyardError && error.status === 412;
}
