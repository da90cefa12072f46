import type { ImageAnalysis } from './image-analysis.js';
import type { AnalysisRequest, AnalysisResponse } from './worker-protocol.js';

/** Images that each worker has in flight: it decodes one while the thumbnails of the others are fetched. */
const IMAGES_PER_WORKER = 4;

const MAX_WORKERS = 4;

/** Between two updates of the displayed progress. */
const PUBLISH_EVERY_MS = 100;

export interface ImageToAnalyze {
  readonly sha256: string;
  readonly thumbnailUrl: string;
}

export interface AnalysisProgress {
  readonly state: 'idle' | 'running' | 'cancelled';
  readonly done: number;
  readonly total: number;
  /** Images whose thumbnails could not be fetched in this run; a later run may succeed. */
  readonly failed: number;
  /** Runs that have completed or were cancelled. When it grows, there may be new analyses. */
  readonly finishedRuns: number;
}

/** Analyses by SHA-256, kept until the page is closed; `undefined` for an image without a thumbnail. */
const analyses = new Map<string, ImageAnalysis | undefined>();

/** Fetches thumbnails and analyzes them in workers. All analyzers share their results. */
export class ImageAnalyzer {
  readonly #listeners = new Set<() => void>();
  #progress: AnalysisProgress = { state: 'idle', done: 0, total: 0, failed: 0, finishedRuns: 0 };
  #workers: readonly Worker[] = [];
  #fetching = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly progress = (): AnalysisProgress => this.#progress;

  has(sha256: string): boolean {
    return analyses.has(sha256);
  }

  analysisOf(sha256: string): ImageAnalysis | undefined {
    return analyses.get(sha256);
  }

  /** Adds analyses of an earlier visit. */
  restore(cached: Iterable<readonly [string, ImageAnalysis | undefined]>): void {
    for (const [sha256, analysis] of cached) analyses.set(sha256, analysis);
  }

  /** Analyzes in order the images that have no analysis yet. Does nothing while a run is in progress. */
  start(images: readonly ImageToAnalyze[]): void {
    if (this.#progress.state === 'running') return;
    const queue = images.filter(({ sha256 }) => !analyses.has(sha256)).reverse();
    if (queue.length === 0) return;
    this.#fetching = new AbortController();
    this.#update({ state: 'running', done: 0, total: queue.length, failed: 0 });
    this.#publish();
    const count = Math.min(MAX_WORKERS, Math.max(1, navigator.hardwareConcurrency - 1), queue.length);
    this.#workers = Array.from({ length: count }, startAnalysisWorker);
    for (const worker of this.#workers) {
      const sendNext = () => this.#sendNext(worker, queue);
      worker.addEventListener('message', ({ data }: MessageEvent<AnalysisResponse>) => {
        analyses.set(data.sha256, data.analysis);
        this.#countDone({ isFailed: false });
        void sendNext();
      });
      for (let inFlight = 0; inFlight < IMAGES_PER_WORKER; inFlight++) void sendNext();
    }
  }

  /** Ends the run and keeps its results so far. */
  cancel(): void {
    if (this.#progress.state === 'running') this.#end('cancelled');
  }

  /** Sends the worker the next image that has a thumbnail. */
  async #sendNext(worker: Worker, queue: ImageToAnalyze[]): Promise<void> {
    const { signal } = this.#fetching;
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const { sha256, thumbnailUrl } = next;
      const thumbnail = await fetchThumbnail(thumbnailUrl, signal);
      if (signal.aborted) return;
      if (thumbnail instanceof Blob) {
        worker.postMessage({ sha256, thumbnail } satisfies AnalysisRequest);
        return;
      }
      if (thumbnail === 'none') analyses.set(sha256, undefined);
      this.#countDone({ isFailed: thumbnail === 'failed' });
    }
  }

  #countDone({ isFailed }: { isFailed: boolean }): void {
    const { done, total, failed } = this.#progress;
    this.#update({ done: done + 1, failed: failed + (isFailed ? 1 : 0) });
    if (done + 1 === total) this.#end('idle');
    else this.#timer ??= setTimeout(() => this.#publish(), PUBLISH_EVERY_MS);
  }

  #end(state: 'idle' | 'cancelled'): void {
    this.#fetching.abort();
    for (const worker of this.#workers) worker.terminate();
    this.#workers = [];
    this.#update({ state, finishedRuns: this.#progress.finishedRuns + 1 });
    this.#publish();
  }

  #update(changes: Partial<AnalysisProgress>): void {
    this.#progress = { ...this.#progress, ...changes };
  }

  #publish(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const listener of this.#listeners) listener();
  }
}

/** Starts a worker; the caller terminates it. */
function startAnalysisWorker(): Worker {
  return new Worker(new URL('./analysis.worker.ts', import.meta.url), { type: 'module' });
}

async function fetchThumbnail(url: string, signal: AbortSignal): Promise<Blob | 'none' | 'failed'> {
  try {
    const response = await fetch(url, { signal });
    if (response.ok) return await response.blob();
    // The service makes no thumbnails of some types, and a second request would get the same answer.
    return response.status === 404 ? 'none' : 'failed';
  } catch {
    return 'failed';
  }
}
