import { expect, test } from 'vitest';
import { ROUTES, type Route } from '../../src/api/routes.js';

test('each body of our own routes rejects a misspelt field', () => {
  const open = Object.entries<Route>(ROUTES).flatMap(([name, { body, bodyType }]) => {
    if (body === undefined || bodyType !== undefined) return [];
    const issues = body.safeParse({ misspelt: 1 }).error?.issues ?? [];
    return issues.some(({ code }) => code === 'unrecognized_keys') ? [] : [name];
  });
  expect(open).toEqual(['dataset.create', 'upload.reserve']);
});
