import type { Compilable } from 'kysely';
import { TimeSlice } from '../time-slice.js';
import { withoutNul } from './without-nul.js';

/** To make and send the statements of a change of fifty thousand files takes seconds. Other requests are served in between. */
const MAX_SLICE_MS = 10;

/**
 * Sends statements without waiting for the answers to those before.
 *
 * @returns the answers, in order
 * @throws the first error, once all are answered
 */
export async function sendPipelined<Answer>(
  statements: readonly Compilable<unknown>[],
  send: (query: { text: string; values: unknown[] }) => Promise<Answer>,
): Promise<Answer[]> {
  const sent: Promise<Answer>[] = [];
  const slice = new TimeSlice(MAX_SLICE_MS);
  for (const statement of statements) {
    await slice.pause();
    const { sql, parameters } = statement.compile();
    const answer = send({ text: sql, values: parameters.map(withoutNul) });
    // It may be rejected before the last one is sent.
    answer.catch(() => {});
    sent.push(answer);
  }
  return allSettled(sent);
}

/** As `Promise.all`, but waits for all promises. Throws the first error, which makes the later statements fail too. */
async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
