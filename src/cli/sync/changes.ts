import { watch } from 'node:fs';
import { withAnySignal } from '../../abort-signals.js';
import type { TrainyardClient } from '../../client/client.js';
import { sleep } from '../../client/retry.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';

/** A change counts as complete after this time without another, since editors and cameras write a file in several steps. */
const QUIET_MS = 400;

/** The pause before the events of a dataset are requested again. */
const RECONNECT_MS = 1000;

/** Watches a folder, and with `follow` a dataset, and waits for changes to end. */
export class Changes {
  readonly #signal: AbortSignal;
  #changed = new AbortController();
  #changedAt = 0;
  #followed: string | undefined;

  /** @throws CommandError with 66 if the folder can't be watched */
  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal;
    try {
      const watcher = watch(folder, { signal }, (_, filename) => {
        // A pull keeps its incomplete files in a hidden folder.
        if (!filename?.startsWith('.')) this.#note();
      });
      watcher.on('error', () => this.#changed.abort());
    } catch (error) {
      throw new CommandError(EXIT.noInput, `${folder} can't be watched: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Also takes the events of this dataset for changes, until the signal fires. */
  follow(client: TrainyardClient, datasetId: string): void {
    if (this.#followed !== undefined) return;
    this.#followed = datasetId;
    const followUntilAborted = async () => {
      while (!this.#signal.aborted) {
        // The next push reports why the service does not answer, or that the dataset was deleted.
        await this.#noteEvents(client, datasetId).catch(() => {});
        this.#note();
        await sleep(RECONNECT_MS, this.#signal).catch(() => {});
      }
    };
    void followUntilAborted();
  }

  async #noteEvents(client: TrainyardClient, datasetId: string): Promise<void> {
    // The first event comes at once, and makes up for those that a broken connection has lost.
    for await (const _ of client.events(datasetId, { signal: this.#signal })) this.#note();
  }

  #note(): void {
    // Not the time of day, which may be set back meanwhile.
    this.#changedAt = performance.now();
    this.#changed.abort();
  }

  /** @returns a signal that the next change aborts */
  begin(): AbortSignal {
    this.#changed = new AbortController();
    return this.#changed.signal;
  }

  /** Waits for a change since `begin`, and then until `QUIET_MS` have passed without one. @throws the signal's reason */
  async untilQuiet(): Promise<void> {
    await withAnySignal([this.#signal, this.#changed.signal], async (either) => {
      if (!either.aborted) await new Promise((resolve) => either.addEventListener('abort', resolve, { once: true }));
    });
    this.#signal.throwIfAborted();
    for (let ms = QUIET_MS; ms > 0; ms = this.#changedAt + QUIET_MS - performance.now()) await sleep(ms, this.#signal);
  }
}
