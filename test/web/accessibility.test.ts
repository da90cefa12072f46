import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { startBrowser, visit, whyNoBrowser } from '../harness/browser.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';
import { bytesOf, dockOf, FILES } from './bringing.js';

const leftOut = whyNoBrowser();
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds on the page as it is, at the impacts that keep people out. */
async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: () => Promise<{ violations: Violation[] }> } };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  });
}

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { html: string }[];
}

describe.skipIf(leftOut !== undefined)(`faults of accessibility${leftOut ? `, left out: ${leftOut}` : ''}`, () => {
  let browser: Browser;
  let server: TestServer;
  let api: Api;
  let id: string;
  let emptyId: string;
  beforeAll(async () => {
    [browser, server] = await Promise.all([startBrowser(), startServer({ 'caption-grace-seconds': 0 })]);
    api = await server.api();
    id = await api.newDataset('a dataset with everything');
    for (const name of ['one', 'two', 'three']) await api.upload(id, `${name}.jpg`, await media.jpeg());
    await api.upload(id, 'one.txt', 'a caption, with tags');
    await api.upload(id, 'two.txt', ' ');
    await api.upload(id, 'stray.txt', 'a caption of nothing');
    emptyId = await api.newDataset('an empty one');
  });
  afterAll(async () => {
    await browser?.close();
    await discardServer(server);
  });

  const PAGES: readonly { name: string; path: () => string; isThere: (page: Page) => Promise<void> }[] = [
    { name: 'datasets', path: () => '/', isThere: (page) => page.getByText('an empty one').first().waitFor() },
    { name: 'files', path: () => `/datasets/${id}`, isThere: (page) => page.getByText('one.jpg').first().waitFor() },
    {
      name: 'captions',
      path: () => `/datasets/${id}/captions`,
      isThere: (page) => page.getByText('a caption of nothing').first().waitFor(),
    },
    {
      name: 'fitness',
      path: () => `/datasets/${id}/fitness`,
      isThere: (page) => page.getByText('three.jpg has no caption').first().waitFor(),
    },
    {
      name: 'a question about files',
      path: () => `/datasets/${emptyId}`,
      isThere: async (page) => {
        await page.locator(FILES).setInputFiles([bytesOf('a.txt', 'a caption'), bytesOf('a.psd', 'no image')]);
        await page.getByRole('dialog').getByText('a.psd').first().waitFor();
      },
    },
    {
      name: 'uploads',
      path: () => `/datasets/${emptyId}`,
      isThere: async (page) => {
        await page.locator(FILES).setInputFiles([bytesOf('broken.jpg', 'no image')]);
        await dockOf(page).getByText('0 of 1 file uploaded').waitFor();
      },
    },
  ];

  for (const theme of ['light', 'dark'] as const) {
    test(`there are none on the sign-in page, ${theme}`, async () => {
      const { page, context } = await visit(browser, server, { theme });
      await page.getByLabel('Token').waitFor();
      expect(await seriousFaults(page)).toEqual([]);
      await context.close();
    });

    test.each(PAGES)(`there are none on the page of $name, ${theme}`, async ({ path, isThere }) => {
      const { page, context, complaints } = await visit(browser, server, { token: api.token, path: path(), theme });
      await isThere(page);
      expect(await seriousFaults(page)).toEqual([]);
      expect(complaints).toEqual([]);
      await context.close();
    });
  }
});
