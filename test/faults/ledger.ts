export const ABSENT = 'absent';

/** The SHA-256 of what lies under a name, or that nothing does. */
export type State = string;

/**
 * What the service owes: for every name the states it may be in, as far as clients can know from the answers that came.
 * An answer leaves one state; an attempt that is never answered leaves both, the one before and the one after.
 */
export class Ledger {
  readonly #possible = new Map<string, ReadonlySet<State>>();
  unanswered = 0;

  possible(name: string): ReadonlySet<State> {
    return this.#possible.get(name) ?? new Set([ABSENT]);
  }

  /** Whether a file is there beyond doubt. */
  isPresent(name: string): boolean {
    return !this.possible(name).has(ABSENT);
  }

  names(): string[] {
    return [...this.#possible.keys()];
  }

  /** Does something that an acknowledgement makes `outcome` of; only one attempt for a name at a time. */
  async attempt(name: string, outcome: State, act: () => Promise<void>): Promise<void> {
    this.#possible.set(name, new Set([...this.possible(name), outcome]));
    this.unanswered++;
    await act();
    this.unanswered--;
    this.found(name, outcome);
  }

  /** What was seen while nothing was under way. */
  found(name: string, state: State): void {
    this.#possible.set(name, new Set([state]));
  }
}
