export const ABSENT = 'absent';

/** The SHA-256 of the file of a name, or none. */
export type State = string;

/**
 * The possible states of every name, as far as clients know from the answers. An answer leaves one state; an attempt without
 * an answer leaves two, the one before and the one after.
 */
export class Ledger {
  readonly #possible = new Map<string, ReadonlySet<State>>();
  unanswered = 0;

  possible(name: string): ReadonlySet<State> {
    return this.#possible.get(name) ?? new Set([ABSENT]);
  }

  /** Whether a file is certainly there. */
  isPresent(name: string): boolean {
    return !this.possible(name).has(ABSENT);
  }

  names(): string[] {
    return [...this.#possible.keys()];
  }

  /** Runs an attempt whose acknowledgement makes `outcome` the state; one attempt for a name at a time. */
  async attempt(name: string, outcome: State, act: () => Promise<void>): Promise<void> {
    this.#possible.set(name, new Set([...this.possible(name), outcome]));
    this.unanswered++;
    await act();
    this.unanswered--;
    this.found(name, outcome);
  }

  /** Records a state that was observed while no attempt was in flight. */
  found(name: string, state: State): void {
    this.#possible.set(name, new Set([state]));
  }
}
