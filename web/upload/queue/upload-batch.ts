import { MAX_LISTED } from '../../../src/api/limits.js';
import {
  type PushFile,
  type PushOutcome,
  type PushProgress,
  type TrainyardClient,
  TrainyardError,
} from '../../../src/client/client.js';
import { messageOf } from '../../ui/format.js';
import { send } from './send.js';
import { isTemporaryFailure, pauseOrOnline, waitForService } from './wait-for-service.js';

/** Pushes in which one file finds no connection although the service has one, before it is given up. */
const MAX_BROKEN_CONNECTIONS = 3;

const CONCURRENT_WITHDRAWALS = 5;

/** In which ten thousand promises are made. */
const RESERVING_MS = 3000;

export type BatchPhase =
  | { readonly state: 'queued' | 'checking' | 'sending' | 'waiting' | 'cancelling' | 'cancelled' | 'done' }
  | { readonly state: 'stopped'; readonly reason: string; readonly mayGoOn: boolean };

let lastKey = 0;

export interface UploadFailure {
  readonly batch: UploadBatch;
  readonly file: PushFile;
  readonly reason: string;
}

/** Files that were brought into a dataset together, and how far they are. */
export class UploadBatch {
  /** Unique on this page. */
  readonly key = ++lastKey;
  readonly dataset: { readonly id: string; readonly name: string };
  /** Of a system's own files that were brought with them and left out. */
  readonly hidden: number;
  phase: BatchPhase = { state: 'queued' };
  inFlight: PushProgress['inFlight'] = [];
  readonly uploaded = { files: 0, bytes: 0 };
  readonly #remaining: Map<PushFile, { broken: number }>;
  readonly #failures = new Map<PushFile, string>();
  #wasReserving = false;
  readonly #onChange: () => void;

  constructor(
    dataset: { readonly id: string; readonly name: string },
    files: readonly PushFile[],
    { hidden, onChange }: { hidden: number; onChange: () => void },
  ) {
    this.dataset = { id: dataset.id, name: dataset.name };
    this.hidden = hidden;
    this.#remaining = new Map(files.map((file) => [file, { broken: 0 }]));
    this.#onChange = onChange;
  }

  /** Whether there is something to be lost by leaving the page. */
  get isUnfinished(): boolean {
    return this.#remaining.size > 0 && this.phase.state !== 'cancelling';
  }

  /** Whether it has ended as it was meant to. */
  get hasEnded(): boolean {
    return this.phase.state === 'done' || this.phase.state === 'cancelled';
  }

  /** To be sent or, once it is cancelled, to be withdrawn. */
  get remaining(): { files: number; bytes: number } {
    let bytes = 0;
    for (const { size } of this.#remaining.keys()) bytes += size;
    return { files: this.#remaining.size, bytes };
  }

  /** Have left, and nobody has said yet that they arrived. */
  get sentBytes(): number {
    return this.inFlight.reduce((sum, file) => sum + file.sentBytes, 0);
  }

  get failures(): UploadFailure[] {
    return [...this.#failures].map(([file, reason]) => ({ batch: this, file, reason }));
  }

  /** Of what is still to be sent. */
  get names(): string[] {
    return this.isUnfinished ? [...this.#remaining.keys()].map(({ name }) => name) : [];
  }

  /**
   * Sends what is left, and waits for a network that goes away.
   *
   * @throws what the service says against it; the signal's reason
   */
  async run(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    try {
      while (this.#remaining.size > 0) {
        this.#enter({ state: 'checking' });
        const isCut = await this.#push(client, signal).then(
          () => [...this.#remaining.values()].some(({ broken }) => broken > 0),
          (error) => {
            signal.throwIfAborted();
            if (!isTemporaryFailure(error)) throw error;
            return true;
          },
        );
        if (!isCut) continue;
        this.#enter({ state: 'waiting' });
        await waitForService(client, this.dataset.id, signal);
      }
      if (this.#failures.size > 0) await this.#withdraw(client, [...this.#failures.keys()], signal);
      this.#enter({ state: 'done' });
    } finally {
      this.inFlight = [];
    }
  }

  /** Takes back the promises of what has not arrived, so that the dataset does not wait for it. */
  async withdraw(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    const files = [...this.#remaining.keys(), ...this.#failures.keys()];
    await this.#withdraw(client, files, signal);
    if (this.#wasReserving) {
      // Nobody waits for the answer, and the service may be making them all the same.
      await pauseOrOnline(RESERVING_MS, signal);
      await this.#withdraw(client, files, signal);
    }
    this.abandon();
  }

  /** What was promised and can not be withdrawn, nobody waits for once its link has run out. */
  abandon(): void {
    this.#remaining.clear();
    this.#enter({ state: 'cancelled' });
  }

  cancel(): void {
    if (!this.isUnfinished) return;
    this.#wasReserving = this.phase.state === 'checking';
    this.phase = { state: 'cancelling' };
  }

  /** Was interrupted, and goes on when it may. */
  requeue(): void {
    this.#enter({ state: 'queued' });
  }

  /** Will not go on, but for a person who asks for it. */
  stop(reason: string, { mayGoOn }: { mayGoOn: boolean }): void {
    if (!mayGoOn) this.#remaining.clear();
    this.#enter({ state: 'stopped', reason, mayGoOn });
  }

  /** To be sent again: a file that failed, or all that is left where it was stopped. */
  retry(failed?: PushFile): void {
    if (this.phase.state === 'cancelling') return;
    if (failed !== undefined && this.#failures.delete(failed)) this.#remaining.set(failed, { broken: 0 });
    if (this.hasEnded || this.phase.state === 'stopped') this.phase = { state: 'queued' };
  }

  dismiss(file: PushFile): void {
    this.#failures.delete(file);
  }

  async #push(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    await client.push(this.dataset, [...this.#remaining.keys()], {
      send,
      signal,
      onFileFinished: (file, outcome) => this.#settle(file, outcome),
      onProgress: ({ inFlight }) => {
        this.inFlight = inFlight;
        if (inFlight.length > 0) this.#enter({ state: 'sending' });
      },
    });
  }

  #settle(file: PushFile, outcome: PushOutcome): void {
    const left = this.#remaining.get(file);
    if (left === undefined) return;
    // The service answers, and this file's connection broke time and again: perhaps while the network was away.
    if (outcome instanceof TypeError && ++left.broken < MAX_BROKEN_CONNECTIONS) return;
    this.#remaining.delete(file);
    if (outcome instanceof Error) {
      this.#failures.set(file, messageOf(outcome));
    } else {
      this.uploaded.files++;
      this.uploaded.bytes += file.size;
    }
  }

  async #withdraw(client: TrainyardClient, files: readonly PushFile[], signal: AbortSignal): Promise<void> {
    const filesByName = new Map(files.map((file) => [file.name, file]));
    const withdrawOne = async (file: PushFile) => {
      await client.withdraw(this.dataset.id, file.name, { signal }).catch((error) => {
        // Somebody else has withdrawn it, or it has arrived after all.
        if (!(error instanceof TrainyardError && error.status === 404)) throw error;
      });
      this.#remaining.delete(file);
      this.#onChange();
    };
    for (let mayBeMore = true; mayBeMore; ) {
      // A name that is not awaited has nothing of ours; under it may be what is wrong with an older upload.
      const { awaited = [] } = await client.status(this.dataset.id, { signal });
      const ours = awaited.flatMap(({ filename }) => filesByName.get(filename) ?? []);
      mayBeMore = ours.length > 0 && awaited.length === MAX_LISTED;
      while (ours.length > 0) await Promise.all(ours.splice(0, CONCURRENT_WITHDRAWALS).map(withdrawOne));
    }
  }

  #enter(phase: BatchPhase): void {
    if (this.phase.state === 'cancelling' && phase.state !== 'cancelled') return;
    this.phase = phase;
    this.#onChange();
  }
}
