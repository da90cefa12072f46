import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { checkSession, isUnauthorized } from '../../session/session.js';
import { messageOf } from '../../ui/format.js';
import type { QueuedFile } from './queued-file.js';
import { Speed } from './speed.js';
import { type BatchOptions, UploadBatch, type UploadFailure } from './upload-batch.js';
import { isTemporaryFailure, waitForService } from './wait-for-service.js';

/** Between two snapshots while files are sent. */
const PUBLISH_EVERY_MS = 100;

/**
 * Uploads batches of files sequentially. While the files of one are checked that replace others, it sends the next. It
 * continues in other views, and after the user has signed out and in again.
 */
export class UploadQueue {
  #batches: readonly UploadBatch[] = [];
  #client: TrainyardClient | undefined;
  #isPaused = false;
  readonly #isRunning = { sending: false, replacing: false };
  #stop = new AbortController();
  readonly #speed = new Speed();
  readonly #listeners = new Set<() => void>();
  #snapshot: UploadsSnapshot = snapshotOf([], { isPaused: false, isSignedOut: true, bytesPerSecond: undefined });
  #publishTimer: ReturnType<typeof setTimeout> | undefined;

  /** Sets the client of the signed-in user. Without a client, uploads are suspended. */
  setClient(client: TrainyardClient | undefined): void {
    this.#client = client;
    if (client === undefined) this.#interrupt();
    this.#start();
  }

  /** Appends a batch, and removes batches that ended without a message. */
  add(
    dataset: { id: string; name: string },
    files: readonly QueuedFile[],
    options: Pick<BatchOptions, 'hidden' | 'groups'>,
  ): void {
    const onUploaded = ({ name }: QueuedFile) => {
      for (const other of this.#batches) if (other.dataset.id === dataset.id) other.dismissNamed(name);
    };
    const batch = new UploadBatch(dataset, files, { ...options, onChange: this.#publishSoon, onUploaded });
    const isShown = ({ hasEnded, failures, conflicts }: UploadBatch) =>
      !hasEnded || failures.length + conflicts.length > 0;
    this.#batches = [...this.#batches.filter(isShown), batch];
    this.#start();
  }

  /** Names of the files that are still to be sent to a dataset. */
  unsentNames(datasetId: string): string[] {
    return this.#batches.filter(({ dataset }) => dataset.id === datasetId).flatMap((batch) => batch.unsentNames);
  }

  pause(): void {
    this.#isPaused = true;
    this.#interrupt();
    this.#publish();
  }

  resume(): void {
    this.#isPaused = false;
    this.#start();
  }

  cancel(): void {
    for (const batch of this.#batches) batch.cancel();
    this.#isPaused = false;
    this.#interrupt();
    this.#start();
  }

  /** Sends failed files again. */
  retry(failures: readonly UploadFailure[]): void {
    for (const { batch, file } of failures) batch.retry(file);
    this.#start();
  }

  /** Continues a stopped batch. */
  retryBatch(batch: UploadBatch): void {
    batch.retry();
    this.#start();
  }

  dismiss(failure: UploadFailure): void {
    failure.batch.dismiss(failure.file);
    this.#publish();
  }

  /** Removes all batches that have ended, with their failures. */
  dismissAll(): void {
    this.#batches = this.#batches.filter(({ isUnfinished, phase }) => isUnfinished || phase.state === 'cancelling');
    this.#publish();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly snapshot = (): UploadsSnapshot => this.#snapshot;

  #interrupt(): void {
    this.#stop.abort(new DOMException('Interrupted.', 'AbortError'));
    this.#stop = new AbortController();
    this.#speed.reset();
  }

  #start(): void {
    this.#publish();
    void this.#run('sending');
    void this.#run('replacing');
  }

  async #run(work: 'sending' | 'replacing'): Promise<void> {
    if (this.#isRunning[work]) return;
    this.#isRunning[work] = true;
    for (let batch = this.#next(work); batch !== undefined && this.#client !== undefined; batch = this.#next(work)) {
      await this.#runBatch(batch, this.#client, this.#stop.signal);
      this.#start();
    }
    this.#isRunning[work] = false;
  }

  #next(work: 'sending' | 'replacing'): UploadBatch | undefined {
    const next = work === 'sending' ? 'queued' : 'replacing';
    const isNext = ({ phase: { state } }: UploadBatch) =>
      (state === 'cancelling' && work === 'sending') || (state === next && !this.#isPaused);
    return this.#batches.find(isNext);
  }

  async #runBatch(batch: UploadBatch, client: TrainyardClient, signal: AbortSignal): Promise<void> {
    try {
      if (batch.phase.state === 'cancelling') await batch.withdraw(client, signal);
      else if (batch.phase.state === 'replacing') await batch.replace(client, signal);
      else await batch.send(client, signal);
    } catch (error) {
      if (signal.aborted) return batch.requeue();
      if (isUnauthorized(error)) {
        batch.requeue();
        // A failure of an old session must not stop the uploads of a user who has signed in again.
        if (this.#client !== client) return;
        this.#client = undefined;
        const isSameSession = await checkSession(`${messageOf(error)} Your uploads continue after you sign in again.`);
        if (!isSameSession || this.#client !== undefined) return;
        // A proxy answered, or the failure is temporary: the page stays signed in.
        this.setClient(client);
        await waitForService(client, batch.dataset.id, signal).catch(() => {});
      } else if (batch.phase.state === 'cancelling') {
        if (!isTemporaryFailure(error)) return batch.endCancelled();
        await waitForService(client, batch.dataset.id, signal).catch(() => {});
      } else if (error instanceof TrainyardError && error.code === 'dataset_not_found') {
        batch.stop('Your account has no such dataset. It was deleted, or is in another account.');
      } else {
        batch.stop(messageOf(error));
      }
    }
  }

  readonly #publishSoon = (): void => {
    this.#publishTimer ??= setTimeout(() => this.#publish(), PUBLISH_EVERY_MS);
  };

  #publish(): void {
    clearTimeout(this.#publishTimer);
    this.#publishTimer = undefined;
    const isSending = this.#batches.some(({ phase }) => phase.state === 'sending');
    if (isSending) this.#speed.add(sentBytesOf(this.#batches), performance.now());
    else this.#speed.reset();
    this.#snapshot = snapshotOf(this.#batches, {
      isPaused: this.#isPaused,
      isSignedOut: this.#client === undefined,
      bytesPerSecond: this.#speed.bytesPerSecond(),
    });
    for (const listener of this.#listeners) listener();
  }
}

function sentBytesOf(batches: readonly UploadBatch[]): number {
  return batches.reduce((sum, { uploaded, sentBytes }) => sum + uploaded.bytes + sentBytes, 0);
}

/** The state of the queue as a whole. */
type QueueState =
  | 'empty'
  | 'checking'
  | 'sending'
  | 'replacing'
  | 'waiting'
  | 'paused'
  | 'signed-out'
  | 'cancelling'
  | 'stopped'
  | 'done';

/** All uploads at one moment, for display. */
export interface UploadsSnapshot {
  readonly state: QueueState;
  readonly batches: readonly BatchSnapshot[];
  readonly files: { readonly total: number; readonly uploaded: number };
  /** Excludes failed files. `sent` were sent and not acknowledged yet. */
  readonly bytes: { readonly total: number; readonly uploaded: number; readonly sent: number };
  readonly bytesPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
  readonly inFlight: UploadBatch['inFlight'];
  readonly failures: readonly UploadFailure[];
  /** Files that are stored beside the entry that they should have replaced. */
  readonly conflicts: readonly UploadFailure[];
  readonly isUnfinished: boolean;
}

interface BatchSnapshot extends Pick<UploadBatch, 'dataset' | 'phase' | 'hidden'> {
  readonly batch: UploadBatch;
  readonly files: { readonly total: number; readonly uploaded: number };
}

function snapshotOf(
  batches: readonly UploadBatch[],
  state: { isPaused: boolean; isSignedOut: boolean; bytesPerSecond: number | undefined },
): UploadsSnapshot {
  const parts = batches.map((batch) => {
    const { dataset, phase, hidden, uploaded, remaining, failures, inFlight, sentBytes } = batch;
    const files = { total: uploaded.files + remaining.files + failures.length, uploaded: uploaded.files };
    const bytes = { total: uploaded.bytes + remaining.bytes, uploaded: uploaded.bytes, sent: sentBytes };
    return { snapshot: { batch, dataset, phase, hidden, files }, bytes, failures, inFlight };
  });
  const bytes = {
    total: sumOf(parts, (part) => part.bytes.total),
    uploaded: sumOf(parts, (part) => part.bytes.uploaded),
    sent: sumOf(parts, (part) => part.bytes.sent),
  };
  const { bytesPerSecond } = state;
  return {
    state: queueStateOf(batches, state),
    batches: parts.map(({ snapshot }) => snapshot),
    files: {
      total: sumOf(parts, ({ snapshot }) => snapshot.files.total),
      uploaded: sumOf(parts, ({ snapshot }) => snapshot.files.uploaded),
    },
    bytes,
    bytesPerSecond,
    secondsLeft: bytesPerSecond ? (bytes.total - bytes.uploaded - bytes.sent) / bytesPerSecond : undefined,
    inFlight: parts.flatMap(({ inFlight }) => inFlight),
    failures: parts.flatMap(({ failures }) => failures),
    conflicts: batches.flatMap(({ conflicts }) => conflicts),
    isUnfinished: batches.some(({ isUnfinished }) => isUnfinished),
  };
}

function queueStateOf(
  batches: readonly UploadBatch[],
  { isPaused, isSignedOut }: { isPaused: boolean; isSignedOut: boolean },
): QueueState {
  if (batches.length === 0) return 'empty';
  const states = new Set(batches.map(({ phase }) => phase.state));
  if (states.has('cancelling')) return 'cancelling';
  if (batches.some(({ isUnfinished }) => isUnfinished)) {
    if (isSignedOut) return 'signed-out';
    if (isPaused) return 'paused';
  }
  for (const state of ['sending', 'replacing', 'waiting', 'checking'] as const) if (states.has(state)) return state;
  if (states.has('queued')) return 'checking';
  return states.has('stopped') ? 'stopped' : 'done';
}

function sumOf<T>(items: readonly T[], amountOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + amountOf(item), 0);
}
