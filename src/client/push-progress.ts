import type { PushFile } from './push-file.js';

/** A file's bytes are acknowledged once the service has answered its upload with success. */
export interface PushProgress {
  readonly totalBytes: number;
  /** Stored and unchanged files. */
  readonly acknowledgedBytes: number;
  readonly failedBytes: number;
  readonly totalFiles: number;
  /** Stored, unchanged or failed. */
  readonly finishedFiles: number;
  readonly failedFiles: number;
  /** `sentBytes` are written to the network, but not acknowledged. */
  readonly inFlight: readonly { readonly name: string; readonly sentBytes: number; readonly totalBytes: number }[];
}

/** `unchanged`: the dataset had the same bytes. */
export type PushOutcome = 'stored' | 'unchanged' | Error;

/** The names of all pushed files, by outcome. */
export interface PushResult {
  readonly stored: readonly string[];
  readonly unchanged: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: Error }[];
}

export interface PushListeners {
  readonly onProgress?: (progress: PushProgress) => void;
  /** Called once for each finished file. `storedSha256` is missing where the service may still reject the file. */
  readonly onFileFinished?: (file: PushFile, outcome: PushOutcome, storedSha256?: string) => void;
}

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
