import { expect, test } from 'vitest';
import { ERROR_NUMBERS } from '../../src/api/error-codes.js';

test('each error has a unique number: an HTTP status followed by three digits', () => {
  const numbers = Object.values(ERROR_NUMBERS);
  expect(new Set(numbers).size).toBe(numbers.length);
  for (const number of numbers) expect(String(number)).toMatch(/^[45]\d{2}0\d{2}$/);
});
