import { setImmediate as endOfTurn, setTimeout as wait } from 'node:timers/promises';
import type { Pieces } from '../pieces.js';

/** The longest that work waits for connections, of which there may always be more. */
const MAX_ACCEPTING_MS = 25;

let hasAccepted = false;

/** To be called when the process has accepted a connection. */
export function noteConnection(): void {
  hasAccepted = true;
}

let next: Promise<void> | undefined;
let resumedAt = 0;

/**
 * Resolves in a later turn of the event loop, so that others are served in between. The loop of Node 20 accepts one connection in
 * each turn: if it has, it may turn again before work goes on. Else a hundred new connections would wait for a hundred pieces of work.
 */
export function turn(): Promise<void> {
  next ??= afterConnections().finally(() => {
    next = undefined;
  });
  return next;
}

/** Waits for connections as long as the work before took, so that endless ones leave half of the time to work. */
async function afterConnections(): Promise<void> {
  await endOfTurn();
  // If a connection called this, that was the end of the same turn. Others are accepted in the next one.
  hasAccepted = false;
  await endOfTurn();
  const waitingSince = performance.now();
  const maxMs = Math.min(waitingSince - resumedAt, MAX_ACCEPTING_MS);
  while (hasAccepted && performance.now() - waitingSince < maxMs) {
    hasAccepted = false;
    await endOfTurn();
  }
  resumedAt = performance.now();
}

/** Divides long work into slices of time: other requests are served between two of them. */
export class TimeSlice {
  readonly #maxMs: number;
  #startedAt = performance.now();

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** Resolves in a later turn of the event loop if the slice is over; then the next one begins. */
  async pause(): Promise<void> {
    if (performance.now() - this.#startedAt < this.#maxMs) return;
    await turn();
    this.#startedAt = performance.now();
  }
}

/** The pieces of work that never waits for other large work. @param maxMs the longest time between two pauses */
export function timeSliced(maxMs: number): Pieces {
  const slice = new TimeSlice(maxMs);
  return { begin: async () => {}, pause: () => slice.pause() };
}

/**
 * Runs the pieces of work in the background, until one returns false or the signal fires. Each is followed by a pause as long as it
 * took: a request waits for several pieces, since it has several transactions, and in the pauses for none.
 */
export async function runWithPauses(piece: () => Promise<boolean>, signal?: AbortSignal): Promise<void> {
  while (!signal?.aborted) {
    const beganAt = performance.now();
    if (!(await piece())) return;
    await wait(performance.now() - beganAt);
  }
}
