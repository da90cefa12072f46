import { setImmediate as turn } from 'node:timers/promises';
import { CompiledQuery } from 'kysely';
import { expect, test } from 'vitest';
import { sendPipelined } from '../../../src/storage/database/send-pipelined.js';

/** A statement that takes some milliseconds to be made, as one of many rows does. */
function statementOf(text: string) {
  const compile = () => {
    const end = performance.now() + 15;
    while (performance.now() < end);
    return CompiledQuery.raw(text, ['a\0b']);
  };
  return { compile };
}

const statements = ['one', 'two', 'three', 'four'].map(statementOf);

test('statements that take long to make are sent in order, with turns of the event loop in between', async () => {
  let turns = 0;
  let isSent = false;
  const counting = (async () => {
    for (; !isSent; turns++) await turn();
  })();
  const answers = await sendPipelined(statements, async ({ text, values }) => `${text} ${values.join()}`);
  isSent = true;
  await counting;
  expect(answers).toEqual(['one a\u0001b', 'two a\u0001b', 'three a\u0001b', 'four a\u0001b']);
  expect(turns).toBeGreaterThanOrEqual(3);
});

test('the first error is thrown once all statements are answered', async () => {
  let answered = 0;
  const sending = sendPipelined(statements, async ({ text }) => {
    if (text === 'one' || text === 'three') throw new Error(text);
    await turn();
    answered++;
  });
  await expect(sending).rejects.toThrow('one');
  expect(answered).toBe(2);
});
