import type { PushFile } from './push.js';

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

export interface PushResult {
  readonly stored: readonly string[];
  /** Were there already, with the same bytes. */
  readonly unchanged: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: Error }[];
}

/** Keeps count of a push, and tells of every change. */
export class Progress {
  readonly #files: readonly PushFile[];
  readonly #report: ((progress: PushProgress) => void) | undefined;
  readonly #outcomes = new Map<PushFile, 'stored' | 'unchanged' | Error>();
  readonly #inFlight = new Map<PushFile, number>();
  readonly #totalBytes: number;
  #acknowledgedBytes = 0;
  #failedBytes = 0;
  #failedFiles = 0;

  constructor(files: readonly PushFile[], report: ((progress: PushProgress) => void) | undefined) {
    this.#files = files;
    this.#totalBytes = files.reduce((sum, file) => sum + file.size, 0);
    this.#report = report;
  }

  isSettled(file: PushFile): boolean {
    return this.#outcomes.has(file);
  }

  sent(file: PushFile, bytes: number): void {
    this.#inFlight.set(file, bytes);
    this.#tell();
  }

  settle(file: PushFile, outcome: 'stored' | 'unchanged' | Error): void {
    this.#outcomes.set(file, outcome);
    this.#inFlight.delete(file);
    if (outcome instanceof Error) {
      this.#failedBytes += file.size;
      this.#failedFiles++;
    } else this.#acknowledgedBytes += file.size;
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
    this.#report?.({
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
