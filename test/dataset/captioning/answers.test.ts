import { describe, expect, test } from 'vitest';
import { answerIn, errorOutcome, errorWords } from '../../../src/dataset/captioning/answers.js';
import { cleanCaption, withTrigger } from '../../../src/dataset/captioning/clean.js';
import { promptOf } from '../../../src/dataset/captioning/prompts.js';
import { type Dialect, type Mode, REPLIES } from '../../harness/dialect-server.js';

const DIALECTS: readonly Dialect[] = ['vllm', 'llama.cpp', 'lm-studio', 'ollama'];

const TEXT = 'a red wagon on a siding';

/** What a reply of a dialect means. */
function meaningOf(dialect: Dialect, mode: Mode) {
  const reply = REPLIES[mode](dialect, TEXT) as { status?: number; body: unknown };
  const body = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
  if ((reply.status ?? 200) !== 200) return errorOutcome(reply.status ?? 200, errorWords(body));
  const { text, outcome } = answerIn(body);
  return outcome === undefined ? text : [outcome, text];
}

describe.each(DIALECTS)('an answer of %s', (dialect) => {
  test.each<[Mode, unknown]>([
    ['writes a caption', TEXT],
    ['writes with decoration', TEXT],
    ['thinks aside', TEXT],
    ['has no first tag', TEXT],
    ['streams', TEXT],
    ['is cut off', ['cut_off', TEXT]],
    ['dies in a stream', ['cut_off', dialect === 'ollama' ? 'a red' : 'a red wagon on a siding']],
    ['rejects the key in a success', ['server_error', undefined]],
    ['thinks too long', ['thought_too_long', undefined]],
    ['thinks too long inline', ['thought_too_long', undefined]],
    ['is silent', ['empty', undefined]],
    ['refuses', ['refused', undefined]],
    ['filters', ['refused', undefined]],
    ["can't see", 'no_vision'],
    ['rejects the picture', 'image_rejected'],
    ['has a small context', dialect === 'ollama' ? ['empty', undefined] : 'context_too_small'],
    ['lacks the model', 'model_missing'],
    ['rejects the key', 'unauthorized'],
    ['loads', 'busy'],
    ['is busy', 'busy'],
    ['is another web server', ['server_error', undefined]],
    ['fails', 'server_error'],
  ])('that %s', (mode, expected) => {
    expect(meaningOf(dialect, mode)).toEqual(expected);
  });
});

test.each<[string, string]>([
  ['plain words, "quoted" inside', 'plain words, "quoted" inside'],
  ['"a wagon"', 'a wagon'],
  ['\u201ca wagon\u201d', 'a wagon'],
  ['"a" and "b"', '"a" and "b"'],
  ['```\na wagon\n```', 'a wagon'],
  ["Sure! Here's a detailed caption: a wagon", 'a wagon'],
  ['Here is the platform, at night', 'Here is the platform, at night'],
  ['<think>one</think><think>two</think> a wagon', 'a wagon'],
  ['a\u0000 wagon\r\nat dusk', 'a wagon\nat dusk'],
  ['<thinking>never closed', ''],
  ['<think>one</think><answer>a wagon</answer>', 'a wagon'],
  ['<|begin_of_box|>a wagon<|end_of_box|>', 'a wagon'],
  ['\u25c1think\u25b7one\u25c1/think\u25b7a wagon', 'a wagon'],
])('%j is cleaned to %j', (answer, text) => {
  expect(cleanCaption(answer).text).toBe(text);
});

test.each<[string, string]>([
  ['{"choices":[{"message":{"content":{}}}]}', 'empty'],
  ['{"choices":[{"message":{"content":[null,{"text":7}],"refusal":{},"reasoning":[]}}]}', 'empty'],
  [`{"error":${'['.repeat(9000)}${']'.repeat(9000)}}`, 'server_error'],
  ['{"error":{"message":null}}', 'server_error'],
  ['', 'server_error'],
  ['\u001f\ufffd\b\0\0\ud83d', 'server_error'],
])('%#: an answer that no server should send has no text', (body, outcome) => {
  const answer = answerIn(body);
  expect(answer).toMatchObject({ outcome });
  expect(answer.text).toBeUndefined();
  expect(JSON.stringify(answer)).not.toMatch(/\\u|object Object/);
});

test('an account without credit is not asked again', () => {
  const words = errorWords('[{"error":{"message":"You exceeded your current quota."}}]');
  expect([words, errorOutcome(429, words)]).toEqual(['You exceeded your current quota.', 'unauthorized']);
});

test('a trigger is put in front of a text that lacks it', () => {
  expect(withTrigger('a girl', 'p3nny')).toBe('p3nny, a girl');
  expect(withTrigger('P3nny sits', 'p3nny')).toBe('P3nny sits');
  expect(withTrigger('a girl', ' ')).toBe('a girl');
  expect(withTrigger('desks in masks', 'sks')).toBe('sks, desks in masks');
  expect(withTrigger('(sks) c++, \u732b\u304c\u3044\u308b', '\u732b')).toMatch(/^\(sks\)/);
});

test('a prompt has its variables, and the words to leave out', () => {
  const values = { name: 'yard_01', caption: 'red, wagon, dusk', trigger: 'tr4in' };
  expect(promptOf('{name} {tags} {caption} {trigger} {other}', values, [])).toBe(
    'yard_01 red, wagon, dusk red, wagon, dusk tr4in {other}',
  );
  const sentence = { ...values, caption: 'A long sentence of many words, with one comma.' };
  expect(promptOf('[{tags}]', sentence, ['text', 'people'])).toBe('[]\n\nDo not mention: text, people.');
  expect(promptOf('{caption}', { ...values, caption: '{trigger} $1' }, [])).toBe('{trigger} $1');
});
