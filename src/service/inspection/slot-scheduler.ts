/** A task expected to take longer, in seconds, waits behind shorter ones and never gets all slots. */
const LONG_SECONDS = 2;

/** A long task that has waited for this many seconds no longer waits behind short ones, so that it can't starve. */
const MAX_LONG_WAIT_SECONDS = 30;

const DISTRUST_SECONDS = 60;

/** The number of slots for which one background task may run; at least one task may. */
const SLOTS_PER_BACKGROUND_TASK = 4;

export interface SlotRequest {
  /** Slots are shared fairly between accounts. */
  readonly accountId: string;
  /** The processor time that the task is expected to take. */
  readonly expectedSeconds: number;
  /** Waits until a slot stays free beside it. Few such tasks run at a time, and their accounts are not charged for them. */
  readonly isBackground?: boolean | undefined;
  /** Runs only when no other such task does. */
  readonly needsMuchMemory?: boolean | undefined;
  /** Removes the task from the queue. Ending a task that runs is up to the task. */
  readonly signal: AbortSignal;
}

interface QueuedTask extends Omit<SlotRequest, 'signal'> {
  readonly queuedAt: number;
  readonly start: () => void;
}

/**
 * A share of the slots, by the seconds used (start-time fair queueing): the account with the lowest virtual time is next.
 */
interface Account {
  virtualSeconds: number;
  /** Tasks that run or wait. */
  tasks: number;
  distrustedUntil: number;
}

/**
 * Decides which task runs next in a fixed number of slots. Short tasks go before long ones; among tasks of one class, the
 * account that has used the least time is next; of its tasks, the one expected to be shortest. One slot is kept for short
 * tasks.
 */
export class SlotScheduler {
  readonly #slots: number;
  readonly #now: () => number;
  readonly #queue = new Set<QueuedTask>();
  readonly #accounts = new Map<string, Account>();
  readonly #running = new Set<QueuedTask>();

  /**
   * @param options.slots at least 2
   * @param options.now a clock in seconds that never goes back
   */
  constructor(options: { slots: number; now: () => number }) {
    this.#slots = options.slots;
    this.#now = options.now;
  }

  /** The number of tasks that run or wait for a slot. */
  get size(): number {
    return this.#running.size + this.#queue.size;
  }

  /**
   * Whether the end of a background task is awaited: by an upload that needs much memory as well, and once its turn is over, by a
   * background task of another account.
   */
  isAwaited({ accountId, needsMuchMemory }: SlotRequest, { isTurnOver }: { isTurnOver: boolean }): boolean {
    return [...this.#queue].some((task) =>
      task.isBackground ? isTurnOver && task.accountId !== accountId : needsMuchMemory && task.needsMuchMemory,
    );
  }

  /** Runs `work` as soon as the task gets a slot. Rejects with the signal's reason if it is aborted before. */
  async run<T>(request: SlotRequest, work: () => Promise<T>): Promise<T> {
    request.signal.throwIfAborted();
    const account = this.#accountOf(request.accountId);
    account.tasks++;
    try {
      const release = await this.#acquire(request, account);
      try {
        return await work();
      } finally {
        release();
      }
    } finally {
      account.tasks--;
      this.#forgetIdleAccounts();
    }
  }

  /** Counts all tasks of an account as long for a minute, since one has taken much longer than it was expected to. */
  distrust(accountId: string): void {
    const account = this.#accounts.get(accountId);
    if (account !== undefined) account.distrustedUntil = this.#now() + DISTRUST_SECONDS;
  }

  #accountOf(accountId: string): Account {
    const known = this.#accounts.get(accountId);
    // An account that was idle gets no credit for it: it starts where the others are.
    const active = [...this.#accounts.values()].filter(({ tasks }) => tasks > 0);
    const least = Math.min(...active.map(({ virtualSeconds }) => virtualSeconds));
    const account = known ?? { virtualSeconds: 0, tasks: 0, distrustedUntil: 0 };
    if (account.tasks === 0 && Number.isFinite(least)) account.virtualSeconds = Math.max(account.virtualSeconds, least);
    this.#accounts.set(accountId, account);
    return account;
  }

  #forgetIdleAccounts(): void {
    const now = this.#now();
    const isActive = [...this.#accounts.values()].some(({ tasks }) => tasks > 0);
    for (const [id, { tasks, distrustedUntil }] of this.#accounts) {
      // The time used by an idle account counts as long as others are active, or it could start from zero with each task.
      if (tasks === 0 && !isActive && distrustedUntil <= now) this.#accounts.delete(id);
    }
  }

  #acquire({ signal, ...request }: SlotRequest, account: Account): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#queue.delete(task);
        reject(signal.reason);
      };
      const start = () => {
        signal.removeEventListener('abort', onAbort);
        resolve(this.#occupy(task, account));
      };
      const task: QueuedTask = { ...request, queuedAt: this.#now(), start };
      this.#queue.add(task);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#startNext();
    });
  }

  /** Takes a slot. @returns releases it, once */
  #occupy(task: QueuedTask, account: Account): () => void {
    const startedAt = this.#now();
    this.#running.add(task);
    // Charged in advance, so that an account can't take all slots before its first task ends.
    if (!task.isBackground) account.virtualSeconds += task.expectedSeconds;
    return () => {
      this.#running.delete(task);
      if (!task.isBackground) account.virtualSeconds += this.#now() - startedAt - task.expectedSeconds;
      this.#startNext();
    };
  }

  #startNext(): void {
    while (this.#running.size < this.#slots) {
      const next = this.#next();
      if (next === undefined) return;
      this.#queue.delete(next);
      next.start();
    }
  }

  #next(): QueuedTask | undefined {
    const now = this.#now();
    const running = [...this.#running];
    // A background task may take hours: long tasks need not wait for it, and share the other slots.
    const runningLong = running.filter((task) => !task.isBackground && this.#isLong(task)).length;
    const mayStartLong = runningLong < this.#slots - 1;
    const runningBackground = running.filter(({ isBackground }) => isBackground).length;
    const mayStartBackground = runningBackground < backgroundSlotsOf(this.#slots);
    const mayUseMuchMemory = !running.some(({ needsMuchMemory }) => needsMuchMemory);
    let best: { task: QueuedTask; rank: readonly number[] } | undefined;
    for (const task of this.#queue) {
      const isBackground = task.isBackground === true;
      const isLong = isBackground || this.#isLong(task);
      const waited = now - task.queuedAt;
      const isDue = !isLong || waited >= MAX_LONG_WAIT_SECONDS;
      const leavesSlotFree = running.length < this.#slots - 1;
      const mayStart = isBackground ? mayStartBackground && (leavesSlotFree || isDue) : !isLong || mayStartLong;
      if (!mayStart || (task.needsMuchMemory && !mayUseMuchMemory)) continue;
      const { virtualSeconds } = this.#accounts.get(task.accountId) ?? { virtualSeconds: 0 };
      const rank = [
        isDue ? 0 : isBackground ? 2 : 1,
        virtualSeconds,
        (isLong && isDue ? 0 : task.expectedSeconds) - waited,
      ];
      if (best === undefined || isLess(rank, best.rank)) best = { task, rank };
    }
    return best?.task;
  }

  #isLong({ accountId, expectedSeconds }: QueuedTask): boolean {
    return expectedSeconds > LONG_SECONDS || (this.#accounts.get(accountId)?.distrustedUntil ?? 0) > this.#now();
  }
}

/** The number of background tasks that may run at once in so many slots. */
export function backgroundSlotsOf(slots: number): number {
  return Math.max(1, Math.floor(slots / SLOTS_PER_BACKGROUND_TASK));
}

/** Compares lexicographically. */
function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}
