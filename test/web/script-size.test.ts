import { readdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ASSETS = fileURLToPath(new URL('../../dist/web/assets/', import.meta.url));
/** The contract with Zod, which is loaded beside the page for its first request, has 37 kB of them. */
const MAX_BYTES = 245_000;

test('the page needs less than 245 kB of compressed scripts', async () => {
  const scripts = (await readdir(ASSETS)).filter((name) => name.endsWith('.js.gz'));
  const sizes = await Promise.all(scripts.map(async (name) => (await stat(ASSETS + name)).size));
  expect(sizes.length).toBeGreaterThan(0);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_BYTES);
});
