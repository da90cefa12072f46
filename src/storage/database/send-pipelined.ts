import type { Compilable } from 'kysely';
import { withoutNul } from './without-nul.js';

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
  const sent = statements.map((statement) => {
    const { sql, parameters } = statement.compile();
    return send({ text: sql, values: parameters.map(withoutNul) });
  });
  // Not `Promise.all`: the first error makes the later statements fail too, and all must be answered.
  const settled = await Promise.allSettled(sent);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
