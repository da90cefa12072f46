import { withAnySignal } from '../../abort-signals.js';
import type { InspectionPool } from './inspection-pool.js';
import type { SlotRequest } from './slot-scheduler.js';

/** A background program that has run for this long is ended if one of another account waits. */
const FIRST_TURN_MS = 60_000;
const CHECK_MS = 1000;

const TURN_OVER = new Error('Another account has its turn.');

/**
 * Runs a program in a slot of a pool, as `runInSlot` does. One in the background does not keep another waiting until it ends, which
 * may take hours. Its turn is over after a minute if one of another account waits, and at once if an upload needs the memory; it
 * begins again in a later turn. Each may be twice as long as the one before, so that the accounts make it take at most twice the time.
 *
 * @param options.firstTurnMs only tests set it
 */
export async function runInTurns<T>(
  pool: InspectionPool,
  request: SlotRequest,
  work: (signal: AbortSignal) => Promise<T>,
  { firstTurnMs = FIRST_TURN_MS } = {},
): Promise<T> {
  if (!request.isBackground) return pool.runInSlot(request, work);
  for (let turnMs = firstTurnMs; ; turnMs *= 2) {
    try {
      return await pool.runInSlot(request, (signal) => {
        const endsAt = performance.now() + turnMs;
        const isOver = () => pool.isAwaited(request, { isTurnOver: performance.now() >= endsAt });
        return untilOver({ isOver, checkMs: Math.min(CHECK_MS, turnMs), signal }, work);
      });
    } catch (error) {
      if (error !== TURN_OVER) throw error;
    }
  }
}

/** Runs `work` with a signal that is also aborted with `TURN_OVER` once the turn is over. */
async function untilOver<T>(
  { isOver, checkMs, signal }: { isOver: () => boolean; checkMs: number; signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const turn = new AbortController();
  const timer = setInterval(() => {
    if (isOver()) turn.abort(TURN_OVER);
  }, checkMs);
  try {
    return await withAnySignal([signal, turn.signal], work);
  } finally {
    clearInterval(timer);
  }
}
