import { EventEmitter } from 'node:events';
import type { Compilable } from 'kysely';

export interface AnnouncedChange {
  readonly datasetId: string;
  /** The names of files that may have changed; absent if any may. */
  readonly filenames?: readonly string[] | undefined;
  /** The run of captions whose progress changed, and nothing else. */
  readonly captionRun?: string | undefined;
}

/** Makes the statements that announce a change to other processes at the commit. */
export type NotifyInstances = (change: AnnouncedChange) => readonly Compilable<unknown>[];

/** How a change is announced: to this process after the commit, and to others with it. */
export interface Announcing {
  readonly changes: ChangeFeed;
  readonly notification: NotifyInstances;
}

/** The events: a change, and a gap in which changes may be missed. */
const ANY = Symbol('any');
const GAP = Symbol('gap');

export class ChangeFeed {
  readonly #events = new EventEmitter().setMaxListeners(0);

  /** Calls `listener` after every change, and `onGap` after a gap, until the returned function is called. */
  onAnyChange(
    listener: (datasetId: string, filenames?: readonly string[], captionRun?: string) => void,
    onGap: () => void = () => {},
  ): () => void {
    this.#events.on(ANY, listener).on(GAP, onGap);
    return () => this.#events.off(ANY, listener).off(GAP, onGap);
  }

  announce({ datasetId, filenames, captionRun }: AnnouncedChange): void {
    this.#events.emit(ANY, datasetId, filenames, captionRun);
  }

  /** Tells listeners to read the state again, since changes may have been missed. */
  announceGap(): void {
    this.#events.emit(GAP);
  }
}
