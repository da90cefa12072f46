import { setImmediate as laterInTheLoop } from 'node:timers/promises';
import { CompiledQuery } from 'kysely';
import { expect, test } from 'vitest';
import { sendPipelined } from '../../../src/storage/database/postgres.js';

const statements = ['one', 'two', 'three', 'four'].map((text) => ({
  compile: () => CompiledQuery.raw(text, ['a\0b']),
}));

test('statements are sent in order, without waiting for answers', async () => {
  const sent: string[] = [];
  const answers = sendPipelined(statements, async ({ text, values }) => {
    sent.push(text);
    await laterInTheLoop();
    return `${text} ${values.join()}`;
  });
  expect(sent).toEqual(['one', 'two', 'three', 'four']);
  expect(await answers).toEqual(['one a\u0001b', 'two a\u0001b', 'three a\u0001b', 'four a\u0001b']);
});

test('the first error is thrown once all statements are answered', async () => {
  let answered = 0;
  const sending = sendPipelined(statements, async ({ text }) => {
    if (text === 'one' || text === 'three') throw new Error(text);
    await laterInTheLoop();
    answered++;
  });
  await expect(sending).rejects.toThrow('one');
  expect(answered).toBe(2);
});
