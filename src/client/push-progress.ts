import type { PushFile, PushOptions } from './push.js';

/** Where a push stands. Bytes count once the service has acknowledged the file that they belong to. */
export interface PushProgress {
  readonly totalBytes: number;
  /** Of files that were stored, or were there already. */
  readonly acknowledgedBytes: number;
  /** Of files that could not be sent. */
  readonly failedBytes: number;
  readonly totalFiles: number;
  /** Stored, there already, or failed. */
  readonly settledFiles: number;
  readonly failedFiles: number;
  /** Files under way; `sentBytes` have left here, and nobody has said yet that they arrived. */
  readonly inFlight: readonly { readonly name: string; readonly sentBytes: number; readonly totalBytes: number }[];
}

/** What became of one file: stored, there already with the same bytes, or why neither. */
export type PushOutcome = 'stored' | 'unchanged' | Error;

export interface PushResult {
  readonly stored: readonly string[];
  /** Were there already, with the same bytes. */
  readonly unchanged: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: Error }[];
}

/** Keeps count of a push, and tells of every change. */
export class PushCounter {
  readonly #files: readonly PushFile[];
  readonly #listeners: Pick<PushOptions, 'onProgress' | 'onSettled'>;
  readonly #outcomes = new Map<PushFile, PushOutcome>();
  readonly #inFlight = new Map<PushFile, number>();
  readonly #totalBytes: number;
  #acknowledgedBytes = 0;
  #failedBytes = 0;
  #failedFiles = 0;

  constructor(files: readonly PushFile[], listeners: Pick<PushOptions, 'onProgress' | 'onSettled'>) {
    this.#files = files;
    this.#totalBytes = files.reduce((sum, file) => sum + file.size, 0);
    this.#listeners = listeners;
  }

  isSettled(file: PushFile): boolean {
    return this.#outcomes.has(file);
  }

  sent(file: PushFile, bytes: number): void {
    this.#inFlight.set(file, bytes);
    this.#tell();
  }

  settle(file: PushFile, outcome: PushOutcome): void {
    this.#outcomes.set(file, outcome);
    this.#inFlight.delete(file);
    if (outcome instanceof Error) {
      this.#failedBytes += file.size;
      this.#failedFiles++;
    } else this.#acknowledgedBytes += file.size;
    this.#listeners.onSettled?.(file, outcome);
    this.#tell();
  }

  result(): PushResult {
    const outcomes = [...this.#outcomes];
    const namesOf = (wanted: string) => outcomes.filter(([, outcome]) => outcome === wanted).map(([file]) => file.name);
    return {
      stored: namesOf('stored'),
      unchanged: namesOf('unchanged'),
      failed: outcomes.flatMap(([{ name }, outcome]) => (outcome instanceof Error ? [{ name, error: outcome }] : [])),
    };
  }

  #tell(): void {
    this.#listeners.onProgress?.({
      totalBytes: this.#totalBytes,
      acknowledgedBytes: this.#acknowledgedBytes,
      failedBytes: this.#failedBytes,
      totalFiles: this.#files.length,
      settledFiles: this.#outcomes.size,
      failedFiles: this.#failedFiles,
      inFlight: [...this.#inFlight].map(([{ name, size }, sentBytes]) => ({ name, sentBytes, totalBytes: size })),
    });
  }
}
