import { expect, test } from 'vitest';
import { ROUTES, type Route } from '../../src/api/routes.js';
import { uploadLinksBody } from '../../src/api/request-schemas.js';

test('the schema of a large batch leaves its values to the check that lets other requests have turns', () => {
  let reads = 0;
  const observed = new Proxy<Record<string, unknown>>(
    { 'a.jpg': 'no size' },
    {
      get: (target, name) => {
        reads++;
        return Reflect.get(target, name);
      },
    },
  );
  const parsed = uploadLinksBody.parse({ filenameToByteSize: observed, ifMatch: observed });
  expect([parsed.filenameToByteSize, parsed.ifMatch, reads]).toEqual([observed, observed, 0]);
});

test('it accepts objects alone', () => {
  for (const filenameToByteSize of [undefined, null, 5, 'a.jpg', ['a.jpg']]) {
    const { error } = uploadLinksBody.safeParse({ filenameToByteSize });
    expect(error?.issues).toMatchObject([{ path: ['filenameToByteSize'], message: 'must be an object' }]);
  }
  expect(uploadLinksBody.safeParse({ filenameToByteSize: {}, ifMatch: null }).success).toBe(false);
  expect(uploadLinksBody.safeParse({ filenameToByteSize: {} }).success).toBe(true);
});

test('each body of our own routes rejects a misspelt field', () => {
  const open = Object.entries<Route>(ROUTES).flatMap(([name, { body, bodyType }]) => {
    if (body === undefined || bodyType !== undefined) return [];
    const issues = body.safeParse({ misspelt: 1 }).error?.issues ?? [];
    return issues.some(({ code }) => code === 'unrecognized_keys') ? [] : [name];
  });
  expect(open).toEqual(['dataset.create', 'upload.reserve']);
});
