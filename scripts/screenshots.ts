/*
 * Makes the pictures of README and docs: `npm run screenshots`. Takes them in a real browser, from a real server with the
 * example dataset.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBrowser, visit } from '../test/harness/browser.js';
import { discardServer, startServer } from '../test/harness/server.js';

const EXAMPLE = fileURLToPath(new URL('../examples/railway/', import.meta.url));
const PICTURES = fileURLToPath(new URL('../docs/images/', import.meta.url));

await mkdir(PICTURES, { recursive: true });
const [browser, server] = await Promise.all([startBrowser(), startServer({ 'caption-grace-seconds': 0 })]);
try {
  const api = await server.api();
  const names = await readdir(EXAMPLE);
  const fill = async (name: string, filenames: readonly string[]): Promise<string> => {
    const id = await api.newDataset(name);
    for (const filename of filenames) await api.upload(id, filename, await readFile(join(EXAMPLE, filename)));
    return id;
  };
  await fill('signals at night', names.slice(0, 8));
  await fill('yard without captions', names.filter((name) => !name.endsWith('.txt')).slice(0, 5));
  const id = await fill('railway', names);
  const files = `/datasets/${id}`;
  for (const { name, path, shows, theme = 'light', height = 800, keys = [] } of [
    { name: 'datasets', path: '/', shows: 'signals at night' },
    { name: 'files', path: files, shows: 'yard_01.jpg' },
    { name: 'files-dark', path: files, shows: 'yard_01.jpg', theme: 'dark' },
    { name: 'captions', path: files, shows: 'yard_01.jpg', keys: ['+', 'e'] },
    { name: 'fitness', path: `${files}/fitness`, shows: 'Resolution', height: 1400 },
  ] as const) {
    const { page, context } = await visit(browser, server, { token: api.token, path, theme, height });
    await page.getByText(shows).first().waitFor();
    for (const key of keys) await page.keyboard.press(key);
    await page.waitForFunction(() => [...document.images].every(({ complete }) => complete));
    await page.screenshot({ path: join(PICTURES, `${name}.png`) });
    await context.close();
  }
} finally {
  await browser.close();
  await discardServer(server);
}
