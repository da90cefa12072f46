import { useEffect } from 'react';
import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { useConnect } from '../../session/client.js';
import { checkSession, isUnauthorized } from '../../session/session.js';
import { messageOf } from '../../ui/format.js';
import { Store, warnBeforeLeaving } from '../../ui/store.js';
import type { QueuedFile } from './queued-file.js';
import { recordUnfinished } from './unfinished-uploads.js';
import { type BatchOptions, type BatchPhase, type BatchFile, UploadBatch } from './upload-batch.js';
import { isTemporaryFailure, waitForService } from './wait-for-service.js';

/** Long enough that a pause between two files does not change the result much. */
const WINDOW_MS = 8000;

/** Samples over a shorter time give no result. */
const MIN_MS = 1000;

/** How many bytes were sent in total, at moments of the last seconds. */
type Samples = readonly { readonly bytes: number; readonly at: number }[];

/** Fewer bytes than before mean that a file was restarted. */
function withSample(samples: Samples, sample: Samples[number]): Samples {
  if (sample.bytes < (samples.at(-1)?.bytes ?? 0)) return [sample];
  const first = samples.findLastIndex(({ at }) => sample.at - at >= WINDOW_MS);
  return [...samples.slice(Math.max(0, first)), sample];
}

/** `undefined` while the samples span less than a second. */
function bytesPerSecondIn(samples: Samples): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.at - first.at < MIN_MS) return undefined;
  return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
}

/** Between two snapshots while files are sent. */
const PUBLISH_EVERY_MS = 100;

/**
 * Uploads batches of files sequentially. While the files of one are checked that replace others, it sends the next. It
 * continues in other views, and after the user has signed out and in again.
 */
class UploadQueue {
  #batches: readonly UploadBatch[] = [];
  #client: TrainyardClient | undefined;
  #isPaused = false;
  readonly #isRunning = { sending: false, replacing: false };
  #stop = new AbortController();
  #samples: Samples = [];
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
      // Why a file failed that was uploaded since.
      for (const other of this.#batches) {
        const earlier = other.dataset.id === dataset.id ? other.byName.get(name) : undefined;
        if (earlier?.state === 'failed') earlier.state = 'forgotten';
      }
    };
    const batch = new UploadBatch(dataset, files, { ...options, onChange: this.#publishSoon, onUploaded });
    const isShown = (other: UploadBatch) => !other.hasEnded || other.in('failed', 'kept').length > 0;
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
  retry(failures: readonly BatchFile[]): void {
    for (const failure of failures) failure.batch.retry(failure);
    this.#start();
  }

  /** Continues a stopped batch. */
  retryBatch(batch: UploadBatch): void {
    batch.retry();
    this.#start();
  }

  /** No longer tells of a file that failed, or of an old one that was kept. */
  dismiss(upload: BatchFile): void {
    upload.state = upload.state === 'kept' ? 'uploaded' : 'forgotten';
    this.#publish();
  }

  /** Removes all batches that have ended, with their failures. */
  dismissAll(): void {
    this.#batches = this.#batches.filter(({ isUnfinished, phase }) => isUnfinished || phase.state === 'cancelling');
    this.#publish();
  }

  #interrupt(): void {
    this.#stop.abort(new DOMException('Interrupted.', 'AbortError'));
    this.#stop = new AbortController();
    this.#samples = [];
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
    const { phase } = batch;
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
      } else if (isTemporaryFailure(error)) {
        batch.enter({ state: 'waiting' });
        await waitForService(client, batch.dataset.id, signal).catch(() => {});
        // While other batches are sent, too.
        if (phase.state === 'replacing' && !signal.aborted) batch.enter(phase);
        else batch.requeue();
      } else if (batch.phase.state === 'cancelling') {
        batch.endCancelled();
      } else if (error instanceof TrainyardError && error.code === 'dataset_not_found') {
        const reason = 'Your account has no such dataset. It was deleted, or is in another account.';
        batch.enter({ state: 'stopped', reason });
      } else {
        batch.enter({ state: 'stopped', reason: messageOf(error) });
      }
    }
  }

  #state(): QueueState {
    if (this.#batches.length === 0) return 'empty';
    const states = new Set(this.#batches.map(({ phase }) => phase.state));
    if (states.has('cancelling')) return 'cancelling';
    if (this.#batches.some(({ isUnfinished }) => isUnfinished)) {
      if (this.#client === undefined) return 'signed-out';
      if (this.#isPaused) return 'paused';
    }
    for (const state of ['sending', 'replacing', 'waiting', 'checking'] as const) if (states.has(state)) return state;
    if (states.has('queued')) return 'checking';
    return states.has('stopped') ? 'stopped' : 'done';
  }

  readonly #publishSoon = (): void => {
    this.#publishTimer ??= setTimeout(() => this.#publish(), PUBLISH_EVERY_MS);
  };

  #publish(): void {
    clearTimeout(this.#publishTimer);
    this.#publishTimer = undefined;
    const isSending = this.#batches.some(({ phase }) => phase.state === 'sending');
    const { uploaded, sent } = (snapshots.get() ?? NO_UPLOADS).bytes;
    this.#samples = isSending ? withSample(this.#samples, { bytes: uploaded + sent, at: performance.now() }) : [];
    snapshots.set(snapshotOf(this.#batches, this.#state(), bytesPerSecondIn(this.#samples)));
    recordUnfinished(this.#batches.filter(({ isUnfinished }) => isUnfinished).map(({ dataset }) => dataset.id));
  }
}

/** The only upload queue of this page. */
export const uploadQueue = new UploadQueue();

const snapshots = new Store<UploadsSnapshot>();

const NO_UPLOADS = snapshotOf([], 'empty', undefined);

warnBeforeLeaving(() => snapshots.get()?.isUnfinished === true);

/** All uploads at one moment, for display. */
export type UploadsSnapshot = ReturnType<typeof snapshotOf>;

/** The state of the queue as a whole. */
type QueueState = Exclude<BatchPhase['state'], 'queued' | 'cancelled'> | 'empty' | 'paused' | 'signed-out';

function snapshotOf(batches: readonly UploadBatch[], state: QueueState, bytesPerSecond: number | undefined) {
  const inState = (...states: readonly BatchFile['state'][]) => batches.flatMap((batch) => batch.in(...states));
  const bytesOf = (uploads: readonly BatchFile[]) => sumOf(uploads, ({ file }) => file.size);
  const inFlight = batches.flatMap((batch) => batch.inFlight);
  const uploaded = bytesOf(inState('replacing', 'uploaded', 'kept'));
  /** Excludes failed files. `sent` were sent and not acknowledged yet. */
  const bytes = {
    total: uploaded + bytesOf(inState('unsent')),
    uploaded,
    sent: sumOf(inFlight, ({ sentBytes }) => sentBytes),
  };
  return {
    state,
    batches,
    files: {
      total: sumOf(batches, ({ files }) => files.total),
      uploaded: sumOf(batches, ({ files }) => files.uploaded),
    },
    bytes,
    bytesPerSecond,
    secondsLeft: bytesPerSecond ? (bytes.total - bytes.uploaded - bytes.sent) / bytesPerSecond : undefined,
    inFlight,
    failures: inState('failed'),
    /** Files that are stored beside the entry that they should have replaced. */
    conflicts: inState('kept'),
    isUnfinished: batches.some(({ isUnfinished }) => isUnfinished),
  };
}

function sumOf<T>(items: readonly T[], amountOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + amountOf(item), 0);
}

export function useUploads(): UploadsSnapshot {
  return snapshots.useValue() ?? NO_UPLOADS;
}

/** Whether this page has files still to send to a dataset. */
export function useIsSendingTo(datasetId: string): boolean {
  const isOf = ({ isUnfinished, dataset }: UploadBatch) => dataset.id === datasetId && isUnfinished;
  return snapshots.useSelected((uploads) => uploads?.batches.some(isOf) === true);
}

/** Gives the queue the client of the signed-in user while the calling component is mounted. */
export function useQueueClient(): void {
  const connect = useConnect();
  useEffect(() => {
    uploadQueue.setClient(connect());
    return () => uploadQueue.setClient(undefined);
  }, [connect]);
}
