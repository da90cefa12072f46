import { Readable } from 'node:stream';
import { type AccountEvent, watchAccount } from './watch-account.js';

/** A follower that is further behind is ended. */
const MAX_WAITING = 1000;

interface SharedWatch {
  readonly followers: Set<Readable>;
  readonly ending: AbortController;
  isOpen: boolean;
}

type WatchDependencies = Parameters<typeof watchAccount>[0];

/** Lets all streams of an account share one watch, since a watch remembers every dataset: a thousand would take gigabytes. */
export class AccountWatches {
  readonly #dependencies: WatchDependencies;
  readonly #watches = new Map<string, SharedWatch>();

  constructor(dependencies: WatchDependencies) {
    this.#dependencies = dependencies;
  }

  /** Yields as `watchAccount`. Ends for a caller that is too slow, which misses later events. */
  async *follow(accountId: string, signal: AbortSignal): AsyncGenerator<AccountEvent> {
    const watch = this.#watches.get(accountId) ?? this.#begin(accountId);
    const events = new Readable({ objectMode: true, read: () => {} });
    watch.followers.add(events);
    if (watch.isOpen) events.push({ type: 'open' } satisfies AccountEvent);
    const onAbort = () => end(watch, events);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    try {
      for await (const event of events) {
        if (signal.aborted) return;
        yield event;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      watch.followers.delete(events);
      if (watch.followers.size === 0) this.#stop(accountId, watch);
    }
  }

  #begin(accountId: string): SharedWatch {
    const watch = { followers: new Set<Readable>(), ending: new AbortController(), isOpen: false };
    this.#watches.set(accountId, watch);
    void this.#distribute(accountId, watch);
    return watch;
  }

  async #distribute(accountId: string, watch: SharedWatch): Promise<void> {
    const { followers, ending } = watch;
    try {
      for await (const event of watchAccount(this.#dependencies, accountId, ending.signal)) {
        if (event.type === 'open') watch.isOpen = true;
        for (const events of followers) {
          events.push(event);
          if (events.readableLength > MAX_WAITING) end(watch, events);
        }
      }
      this.#stop(accountId, watch);
      for (const events of followers) end(watch, events);
    } catch (error) {
      this.#stop(accountId, watch);
      for (const events of followers) events.destroy(error as Error);
    }
  }

  #stop(accountId: string, watch: SharedWatch): void {
    watch.ending.abort();
    if (this.#watches.get(accountId) === watch) this.#watches.delete(accountId);
  }
}

/** Ends a stream after the events that wait. */
function end({ followers }: SharedWatch, events: Readable): void {
  if (followers.delete(events)) events.push(null);
}
