import { onTestFinished } from 'vitest';

/** Counts turns of the event loop, in which requests are answered. */
export function countTurns(): { count: number } {
  const turns = { count: 0 };
  let next = setImmediate(function onTurn() {
    turns.count++;
    next = setImmediate(onTurn);
  });
  onTestFinished(() => clearImmediate(next));
  return turns;
}

/** Counts what happens in each turn of the event loop. */
export class PerTurn {
  readonly #turns = countTurns();
  readonly #counts = new Map<number, number>();

  add(count = 1): void {
    const { count: turn } = this.#turns;
    this.#counts.set(turn, (this.#counts.get(turn) ?? 0) + count);
  }

  /** The turns from the first to the last in which something happened. */
  get turns(): number {
    const turns = [...this.#counts.keys()];
    return Math.max(...turns) - Math.min(...turns);
  }

  /** The most in one turn. */
  get max(): number {
    return Math.max(0, ...this.#counts.values());
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }
}
