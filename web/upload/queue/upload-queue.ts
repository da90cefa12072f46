import { type PushFile, type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { signOut } from '../../session/session.js';
import { messageOf } from '../../ui/format.js';
import { Batch, type Failure } from './batch.js';
import { isAway, waitForService } from './service-away.js';
import { Speed } from './speed.js';
import { type Uploads, uploadsOf } from './uploads.js';

/** Between two pictures of where uploads are. */
const TOLD_EVERY_MS = 100;

/**
 * All that is uploaded from this page, one batch after the other, whatever is looked at meanwhile. It lives as long as the
 * page: who signs out and in again finds it where it was.
 */
export class UploadQueue {
  #batches: readonly Batch[] = [];
  #client: TrainyardClient | undefined;
  #isPaused = false;
  #isWorking = false;
  #stop = new AbortController();
  readonly #speed = new Speed();
  readonly #listeners = new Set<() => void>();
  #uploads: Uploads = uploadsOf([], { isPaused: false, isSignedOut: true, bytesPerSecond: undefined });
  #telling: ReturnType<typeof setTimeout> | undefined;

  /** The client of whoever is signed in. Without one, uploads rest. */
  use(client: TrainyardClient | undefined): void {
    this.#client = client;
    if (client === undefined) this.#interrupt();
    this.#goOn();
  }

  /** Behind all that is there already; what is over, and went well, makes room. */
  add(dataset: { id: string; name: string }, files: readonly PushFile[], { hidden }: { hidden: number }): void {
    const batch = new Batch(dataset, files, { hidden, onChange: this.#tellSoon });
    this.#batches = [...this.#batches.filter(({ isOver, failures }) => !isOver || failures.length > 0), batch];
    this.#goOn();
  }

  /** Of all files on their way into a dataset. */
  namesFor(datasetId: string): string[] {
    return this.#batches.filter(({ dataset }) => dataset.id === datasetId).flatMap(({ names }) => names);
  }

  pause(): void {
    this.#isPaused = true;
    this.#interrupt();
    this.#tell();
  }

  resume(): void {
    this.#isPaused = false;
    this.#goOn();
  }

  cancel(): void {
    for (const batch of this.#batches) batch.cancel();
    this.#isPaused = false;
    this.#interrupt();
    this.#goOn();
  }

  /** Sends failed files again. */
  retry(failures: readonly Failure[]): void {
    for (const { batch, file } of failures) batch.retry(file);
    this.#goOn();
  }

  /** Goes on with a batch that was stopped. */
  tryAgain(batch: Batch): void {
    batch.retry();
    this.#goOn();
  }

  dismiss(failure: Failure): void {
    failure.batch.dismiss(failure.file);
    this.#tell();
  }

  /** Forgets all that is over, failures and all. */
  dismissAll(): void {
    this.#batches = this.#batches.filter(({ isUnfinished, phase }) => isUnfinished || phase.state === 'cancelling');
    this.#tell();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly uploads = (): Uploads => this.#uploads;

  #interrupt(): void {
    this.#stop.abort(new DOMException('Interrupted.', 'AbortError'));
    this.#speed.forget();
  }

  #goOn(): void {
    this.#tell();
    if (!this.#isWorking) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let batch = this.#next(); batch !== undefined && this.#client !== undefined; batch = this.#next()) {
      this.#stop = new AbortController();
      await this.#workOn(batch, this.#client, this.#stop.signal);
      this.#tell();
    }
    this.#isWorking = false;
  }

  #next(): Batch | undefined {
    const isNext = ({ phase: { state } }: Batch) => state === 'cancelling' || (state === 'queued' && !this.#isPaused);
    return this.#batches.find(isNext);
  }

  async #workOn(batch: Batch, client: TrainyardClient, signal: AbortSignal): Promise<void> {
    try {
      if (batch.phase.state === 'cancelling') await batch.withdraw(client, signal);
      else await batch.run(client, signal);
    } catch (error) {
      if (signal.aborted) return batch.rest();
      const status = error instanceof TrainyardError ? error.status : undefined;
      if (status === 401) {
        batch.rest();
        this.#client = undefined;
        signOut(`${messageOf(error)} What was being uploaded goes on once you have signed in again.`);
      } else if (batch.phase.state === 'cancelling') {
        if (!isAway(error)) return batch.abandon();
        await waitForService(client, batch.dataset.id, signal).catch(() => {});
      } else if (status === 404) {
        batch.stop('The dataset is not there any more; it may have been deleted.', { mayGoOn: false });
      } else {
        batch.stop(messageOf(error), { mayGoOn: true });
      }
    }
  }

  readonly #tellSoon = (): void => {
    this.#telling ??= setTimeout(() => this.#tell(), TOLD_EVERY_MS);
  };

  #tell(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    const isSending = this.#batches.some(({ phase }) => phase.state === 'sending');
    if (isSending) this.#speed.add(bytesGone(this.#batches), performance.now());
    else this.#speed.forget();
    this.#uploads = uploadsOf(this.#batches, {
      isPaused: this.#isPaused,
      isSignedOut: this.#client === undefined,
      bytesPerSecond: this.#speed.bytesPerSecond(),
    });
    for (const listener of this.#listeners) listener();
  }
}

function bytesGone(batches: readonly Batch[]): number {
  return batches.reduce((sum, { arrived, sentBytes }) => sum + arrived.bytes + sentBytes, 0);
}
