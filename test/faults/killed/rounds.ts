import { expect } from 'vitest';
import { IS_ALL } from '../../harness/available.js';
import { printedSeed, seededRandom } from '../random.js';

/** `npm run faults -- killed --kills 20` sets another number, of each kind of change. */
export const KILLS = Number(process.env.TRAINYARD_TEST_KILLS ?? (IS_ALL ? 3 : 1));

export interface Round {
  readonly number: number;
  readonly signal: NodeJS.Signals;
  /** When the signal is sent, from the beginning of the change to its usual end. */
  readonly part: number;
}

/** So many kills, and a quarter as many ends by SIGTERM. Each has a part of the time to itself. */
export function roundsOf(kills = KILLS): Round[] {
  const random = seededRandom(printedSeed());
  const roundsWith = (signal: NodeJS.Signals, count: number) =>
    Array.from({ length: count }, (_, i) => ({ signal, part: (i + random()) / count }));
  const rounds = [...roundsWith('SIGKILL', kills), ...roundsWith('SIGTERM', Math.ceil(kills / 4))];
  return rounds.map((round, i) => ({ ...round, number: i + 1 }));
}

/** A state that was read, and those before and after a change. */
interface States {
  readonly found: unknown;
  readonly before: unknown;
  readonly after: unknown;
  /** The states are objects; each field may be as before or as after. */
  readonly isPerFile?: boolean;
}

/** The state is that before the change, or that after it. */
export function expectBeforeOrAfter({ found, before, after, isPerFile }: States): void {
  if (isPerFile) {
    const [now, old, made] = [found, before, after] as Record<string, unknown>[];
    const names = [...new Set([now, old, made].flatMap((files) => Object.keys(files!)))];
    expect(names.filter((name) => now![name] !== old![name] && now![name] !== made![name])).toEqual([]);
  } else expect([before, after]).toContainEqual(found);
}

/** Prints what happened, where a number of kills was given. */
export function report(kind: string, usualMs: number, counts: Readonly<Record<string, number>>): void {
  if (process.env.TRAINYARD_TEST_KILLS === undefined) return;
  console.info(`${kind}: ${Math.round(usualMs)} ms, ${JSON.stringify(counts)}`);
}
