import { EventEmitter } from 'node:events';
import type { Compilable } from 'kysely';

/** A change to a dataset. */
export interface AnnouncedChange {
  readonly datasetId: string;
  /** The names of the files that may have changed; absent if they are not known. */
  readonly filenames?: readonly string[] | undefined;
}

/** Makes the statements that announce a change to the other processes on the database when their transaction is committed. */
export type NotifyInstances = (change: AnnouncedChange) => readonly Compilable<unknown>[];

/** The events besides those of one dataset: a change to any dataset, and a gap in which changes may be missed. */
const ANY = Symbol('any');
const GAP = Symbol('gap');

/** The event of a change to a dataset. An id may be any text of a URL, and an emitter has events of its own, such as `newListener`. */
function changeTo(datasetId: string): string {
  return `change to ${datasetId}`;
}

/** Publishes changes to datasets to listeners in this process. */
export class ChangeFeed {
  readonly #events = new EventEmitter().setMaxListeners(0);

  /**
   * Calls the listener after every change to the dataset, with the names of its files that may have changed, and after a
   * gap, until the returned function is called. Without names, any file may have changed.
   */
  onChange(datasetId: string, listener: (filenames?: readonly string[]) => void): () => void {
    this.#events.on(changeTo(datasetId), listener).on(GAP, listener);
    return () => this.#events.off(changeTo(datasetId), listener).off(GAP, listener);
  }

  /** Calls `listener` with the id of each changed dataset, and `onGap` after a gap, until the returned function is called. */
  onAnyChange(listener: (datasetId: string) => void, onGap: () => void = () => {}): () => void {
    this.#events.on(ANY, listener).on(GAP, onGap);
    return () => this.#events.off(ANY, listener).off(GAP, onGap);
  }

  announce({ datasetId, filenames }: AnnouncedChange): void {
    this.#events.emit(changeTo(datasetId), filenames);
    this.#events.emit(ANY, datasetId);
  }

  /** Announces that changes may have been missed, so that listeners read the state again. */
  announceGap(): void {
    this.#events.emit(GAP);
  }
}
