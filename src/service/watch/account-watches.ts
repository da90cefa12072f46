import { type AccountEvent, watchAccount } from './watch-account.js';

/** Events that wait for one follower. One that is further behind has missed some. */
const MAX_WAITING = 1000;

/** One of the streams that a watch of an account has. */
interface Follower {
  /** By dataset, the latest event that the follower has not taken. */
  readonly waiting: Map<string, AccountEvent>;
  wake: () => void;
  hasEnded: boolean;
  error?: unknown;
}

/** A watch of an account, with its followers. */
interface SharedWatch {
  readonly followers: Set<Follower>;
  readonly ending: AbortController;
  isOpen: boolean;
}

type WatchDependencies = Parameters<typeof watchAccount>[0];

/**
 * Watches accounts. All streams of an account share one watch, since a watch remembers the state of every dataset, and reads those
 * that change: a thousand streams about ten thousand datasets would take gigabytes.
 */
export class AccountWatches {
  readonly #dependencies: WatchDependencies;
  readonly #watches = new Map<string, SharedWatch>();

  constructor(dependencies: WatchDependencies) {
    this.#dependencies = dependencies;
  }

  /** Yields events as `watchAccount` does. Also ends for a caller that is too slow, who has missed events then. */
  async *follow(accountId: string, signal: AbortSignal): AsyncGenerator<AccountEvent> {
    const watch = this.#watches.get(accountId) ?? this.#begin(accountId);
    const follower: Follower = { waiting: new Map(), wake: () => {}, hasEnded: false };
    watch.followers.add(follower);
    if (watch.isOpen) deliver(follower, { type: 'open' });
    const wake = () => follower.wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        const [next] = follower.waiting;
        if (next !== undefined) {
          follower.waiting.delete(next[0]);
          yield next[1];
        } else if (follower.hasEnded) {
          if (follower.error !== undefined) throw follower.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            follower.wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.#leave(accountId, watch, follower);
    }
  }

  #begin(accountId: string): SharedWatch {
    const watch = { followers: new Set<Follower>(), ending: new AbortController(), isOpen: false };
    this.#watches.set(accountId, watch);
    void this.#distribute(accountId, watch);
    return watch;
  }

  async #distribute(accountId: string, watch: SharedWatch): Promise<void> {
    const { followers, ending } = watch;
    let error: unknown;
    try {
      for await (const event of watchAccount(this.#dependencies, accountId, ending.signal)) {
        if (event.type === 'open') watch.isOpen = true;
        for (const follower of followers) deliver(follower, event);
      }
    } catch (cause) {
      error = cause;
    }
    this.#forget(accountId, watch);
    for (const follower of followers) end(follower, error);
  }

  #leave(accountId: string, watch: SharedWatch, follower: Follower): void {
    watch.followers.delete(follower);
    if (watch.followers.size > 0) return;
    watch.ending.abort();
    this.#forget(accountId, watch);
  }

  #forget(accountId: string, watch: SharedWatch): void {
    if (this.#watches.get(accountId) === watch) this.#watches.delete(accountId);
  }
}

function deliver(follower: Follower, event: AccountEvent): void {
  if (follower.hasEnded) return;
  const { waiting } = follower;
  const key = event.type === 'open' ? '' : event.type === 'deleted' ? event.id : event.summary.dataset.id;
  waiting.delete(key);
  waiting.set(key, event);
  if (waiting.size > MAX_WAITING) {
    waiting.clear();
    end(follower);
  } else follower.wake();
}

function end(follower: Follower, error?: unknown): void {
  follower.hasEnded = true;
  follower.error = error;
  follower.wake();
}
