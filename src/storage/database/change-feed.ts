import { EventEmitter } from 'node:events';
import type { Compilable } from 'kysely';

/** What processes on one database tell each other: that a dataset has changed, and that a token was revoked. */
export type InstanceMessage = `dataset ${string}` | 'tokens';

/** The statements that tell the other processes, if and when the transaction they are part of is committed. */
export type NotifyInstances = (message: InstanceMessage) => readonly Compilable<unknown>[];

/** The events that every change is, beside the one named by its dataset's id, and that some may have gone unheard. */
const ANY = Symbol('any');
const GAP = Symbol('gap');

/** Changes to datasets as they happen. */
export class ChangeFeed {
  readonly #events = new EventEmitter().setMaxListeners(0);

  /** Calls back after every change to the dataset, until the returned function is called. */
  onChange(datasetId: string, listener: () => void): () => void {
    this.#events.on(datasetId, listener).on(GAP, listener);
    return () => this.#events.off(datasetId, listener).off(GAP, listener);
  }

  /** Calls back with its id after a change to any dataset, and without one where changes may have gone unheard. */
  onAnyChange(listener: (datasetId: string) => void, onGap: () => void = () => {}): () => void {
    this.#events.on(ANY, listener).on(GAP, onGap);
    return () => this.#events.off(ANY, listener).off(GAP, onGap);
  }

  announce(datasetId: string): void {
    this.#events.emit(datasetId);
    this.#events.emit(ANY, datasetId);
  }

  /** Changes may have gone unheard: everybody had better look. */
  announceGap(): void {
    this.#events.emit(GAP);
  }
}
