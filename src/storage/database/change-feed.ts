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

/** The events: a change to a dataset, and a gap in which changes may be missed. */
const ANY = Symbol('any');
const GAP = Symbol('gap');

/** Publishes changes to datasets to listeners in this process. */
export class ChangeFeed {
  readonly #events = new EventEmitter().setMaxListeners(0);

  /**
   * Calls `listener` after every change to a dataset, with the names of its files that may have changed, and `onGap` after a gap,
   * until the returned function is called. Without names, any file may have changed.
   */
  onAnyChange(
    listener: (datasetId: string, filenames?: readonly string[]) => void,
    onGap: () => void = () => {},
  ): () => void {
    this.#events.on(ANY, listener).on(GAP, onGap);
    return () => this.#events.off(ANY, listener).off(GAP, onGap);
  }

  announce({ datasetId, filenames }: AnnouncedChange): void {
    this.#events.emit(ANY, datasetId, filenames);
  }

  /** Announces that changes may have been missed, so that listeners read the state again. */
  announceGap(): void {
    this.#events.emit(GAP);
  }
}
