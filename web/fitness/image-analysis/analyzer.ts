import type { Look } from './image-analysis.js';
import { type Answer, type Question, startWorker } from './worker-protocol.js';

/** In flight at once for each worker: one is decoded while others are on their way. */
const AHEAD = 4;

const MOST_WORKERS = 4;

/** Between two drawings of the progress. */
const TELL_MS = 100;

export interface Seeable {
  readonly sha256: string;
  /** Of its thumbnail. */
  readonly url: string;
}

export interface Progress {
  readonly state: 'still' | 'looking' | 'cancelled';
  readonly done: number;
  readonly total: number;
  /** Images whose thumbnails could not be fetched this time, and may be another time. */
  readonly failed: number;
  /** How often it has come to an end, by itself or not: then there are more looks than before. */
  readonly ended: number;
}

/** By what is in an image, so that none is looked at twice for as long as the page is open; `undefined` without a thumbnail. */
const seen = new Map<string, Look | undefined>();

/** Looks at images, in workers. What one has seen, all know. */
export class Looking {
  readonly #listeners = new Set<() => void>();
  #progress: Progress = { state: 'still', done: 0, total: 0, failed: 0, ended: 0 };
  #workers: readonly Worker[] = [];
  #fetching = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly progress = (): Progress => this.#progress;

  has(sha256: string): boolean {
    return seen.has(sha256);
  }

  lookOf(sha256: string): Look | undefined {
    return seen.get(sha256);
  }

  /** Takes over what was seen before. */
  recall(looks: Iterable<readonly [string, Look | undefined]>): void {
    for (const [sha256, look] of looks) seen.set(sha256, look);
  }

  /** Looks at those that have not been seen yet, the first of them first. Does nothing while it is looking. */
  start(images: readonly Seeable[]): void {
    if (this.#progress.state === 'looking') return;
    const queue = images.filter(({ sha256 }) => !seen.has(sha256)).reverse();
    if (queue.length === 0) return;
    this.#fetching = new AbortController();
    this.#change({ state: 'looking', done: 0, total: queue.length, failed: 0 });
    this.#tell();
    const count = Math.min(MOST_WORKERS, Math.max(1, navigator.hardwareConcurrency - 1), queue.length);
    this.#workers = Array.from({ length: count }, startWorker);
    for (const worker of this.#workers) {
      const ask = () => this.#ask(worker, queue);
      worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
        if ('groups' in data) return;
        seen.set(data.sha256, data.look);
        this.#count({ isFailed: false });
        void ask();
      });
      for (let ahead = 0; ahead < AHEAD; ahead++) void ask();
    }
  }

  /** Stops; what was seen stays seen. */
  cancel(): void {
    if (this.#progress.state === 'looking') this.#end('cancelled');
  }

  /** Hands the worker the next image that has a thumbnail. */
  async #ask(worker: Worker, queue: Seeable[]): Promise<void> {
    const { signal } = this.#fetching;
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const { sha256, url } = next;
      const thumbnail = await thumbnailAt(url, signal);
      if (signal.aborted) return;
      if (thumbnail instanceof Blob) {
        worker.postMessage({ sha256, thumbnail } satisfies Question);
        return;
      }
      if (thumbnail === 'none') seen.set(sha256, undefined);
      this.#count({ isFailed: thumbnail === 'failed' });
    }
  }

  #count({ isFailed }: { isFailed: boolean }): void {
    const { done, total, failed } = this.#progress;
    this.#change({ done: done + 1, failed: failed + (isFailed ? 1 : 0) });
    if (done + 1 === total) this.#end('still');
    else this.#timer ??= setTimeout(() => this.#tell(), TELL_MS);
  }

  #end(state: 'still' | 'cancelled'): void {
    this.#fetching.abort();
    for (const worker of this.#workers) worker.terminate();
    this.#workers = [];
    this.#change({ state, ended: this.#progress.ended + 1 });
    this.#tell();
  }

  #change(part: Partial<Progress>): void {
    this.#progress = { ...this.#progress, ...part };
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const listener of this.#listeners) listener();
  }
}

async function thumbnailAt(url: string, signal: AbortSignal): Promise<Blob | 'none' | 'failed'> {
  try {
    const response = await fetch(url, { signal });
    if (response.ok) return await response.blob();
    // Not of every image a thumbnail can be made, and asking again changes nothing.
    return response.status === 404 ? 'none' : 'failed';
  } catch {
    return 'failed';
  }
}
