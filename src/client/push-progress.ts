import type { PushFile } from './push-file.js';

/** The state of a push. The bytes of a file count as acknowledged once the service has answered its upload with success. */
export interface PushProgress {
  readonly totalBytes: number;
  /** Bytes of the files that were stored or were unchanged. */
  readonly acknowledgedBytes: number;
  /** Bytes of the files that failed. */
  readonly failedBytes: number;
  readonly totalFiles: number;
  /** Files that were stored, were unchanged, or failed. */
  readonly finishedFiles: number;
  readonly failedFiles: number;
  /** Files being sent; `sentBytes` have been written to the network and are not acknowledged yet. */
  readonly inFlight: readonly { readonly name: string; readonly sentBytes: number; readonly totalBytes: number }[];
}

/** The outcome of one file: `stored`, `unchanged` (the dataset had it with the same bytes), or the error that it failed with. */
export type PushOutcome = 'stored' | 'unchanged' | Error;

/** The names of all pushed files, by outcome. */
export interface PushResult {
  readonly stored: readonly string[];
  /** Files that the dataset already had with the same bytes. */
  readonly unchanged: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: Error }[];
}

export interface PushListeners {
  readonly onProgress?: (progress: PushProgress) => void;
  /**
   * Called once for each file when it is finished, so that a caller knows which files are left if the push itself fails.
   *
   * @param storedSha256 of a file that the service said it had stored; `undefined` if it may reject the file yet, since a check
   *   goes on after the answer, or the bytes went to a bucket
   */
  readonly onFileFinished?: (file: PushFile, outcome: PushOutcome, storedSha256?: string) => void;
}

/** Counts files and bytes of one push and reports each change to the listeners. */
export class PushCounter {
  readonly #files: readonly PushFile[];
  readonly #listeners: PushListeners;
  readonly #outcomes = new Map<PushFile, PushOutcome>();
  readonly #inFlight = new Map<PushFile, number>();
  readonly #totalBytes: number;
  #acknowledgedBytes = 0;
  #failedBytes = 0;
  #failedFiles = 0;

  constructor(files: readonly PushFile[], listeners: PushListeners) {
    this.#files = files;
    this.#totalBytes = files.reduce((sum, file) => sum + file.size, 0);
    this.#listeners = listeners;
  }

  sent(file: PushFile, bytes: number): void {
    this.#inFlight.set(file, bytes);
    this.#report();
  }

  finish(file: PushFile, outcome: PushOutcome, storedSha256?: string): void {
    this.#outcomes.set(file, outcome);
    this.#inFlight.delete(file);
    if (outcome instanceof Error) {
      this.#failedBytes += file.size;
      this.#failedFiles++;
    } else this.#acknowledgedBytes += file.size;
    this.#listeners.onFileFinished?.(file, outcome, storedSha256);
    this.#report();
  }

  result(): PushResult {
    const outcomes = [...this.#outcomes];
    const namesOf = (wanted: string) => outcomes.filter(([, outcome]) => outcome === wanted).map(([file]) => file.name);
    const failed = outcomes.flatMap(([{ name }, error]) => (error instanceof Error ? [{ name, error }] : []));
    return { stored: namesOf('stored'), unchanged: namesOf('unchanged'), failed };
  }

  #report(): void {
    this.#listeners.onProgress?.({
      totalBytes: this.#totalBytes,
      acknowledgedBytes: this.#acknowledgedBytes,
      failedBytes: this.#failedBytes,
      totalFiles: this.#files.length,
      finishedFiles: this.#outcomes.size,
      failedFiles: this.#failedFiles,
      inFlight: [...this.#inFlight].map(([{ name, size }, sentBytes]) => ({ name, sentBytes, totalBytes: size })),
    });
  }
}
