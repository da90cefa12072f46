/*
 * Makes the pictures of README and docs: `npm run screenshots`. Takes them in a real browser, from a real server with the
 * example dataset.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { startBrowser, visit } from '../harness/browser.js';
import { discardServer, startServer } from '../harness/server.js';

const EXAMPLE = fileURLToPath(new URL('../../examples/railway/', import.meta.url));
const PICTURES = fileURLToPath(new URL('../../docs/images/', import.meta.url));

interface Shot {
  readonly name: string;
  readonly path: string;
  readonly theme: 'light' | 'dark';
  readonly waitForContent: (page: Page) => Promise<void>;
  readonly width?: number;
  readonly height?: number;
}

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
  const shows = (text: string) => (page: Page) => page.getByText(text).first().waitFor();
  const shots: readonly Shot[] = [
    { name: 'datasets', path: '/', theme: 'light', waitForContent: shows('signals at night') },
    { name: 'files', path: `/datasets/${id}`, theme: 'light', waitForContent: shows('yard_01.jpg') },
    { name: 'files-dark', path: `/datasets/${id}`, theme: 'dark', waitForContent: shows('yard_01.jpg') },
    { name: 'captions', path: `/datasets/${id}/captions`, theme: 'light', waitForContent: shows('railway') },
    {
      name: 'fitness',
      path: `/datasets/${id}/fitness`,
      theme: 'light',
      waitForContent: shows('Resolution'),
      height: 1400,
    },
  ];
  for (const { name, path, theme, waitForContent, width = 1280, height = 800 } of shots) {
    const { page, context } = await visit(browser, server, { token: api.token, path, theme, width, height });
    await waitForContent(page);
    await page.waitForFunction(() => [...document.images].every(({ complete }) => complete));
    await page.screenshot({ path: join(PICTURES, `${name}.png`) });
    await context.close();
  }
} finally {
  await browser.close();
  await discardServer(server);
}
