import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { visit } from '../harness/browser.js';
import { describeInBrowser } from '../harness/describe-in-browser.js';
import { bytesOf, dockOf, FILES } from './upload/drop-files.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The violations that axe-core finds on the page, of the impacts `serious` and `critical`. */
async function seriousViolations(page: Page): Promise<string[]> {
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

describeInBrowser('serious accessibility violations', (site) => {
  let id: string;
  let empty: string;
  let filling: string;
  beforeAll(async () => {
    const { api } = site;
    id = await api.newDataset('a dataset with everything');
    for (const name of ['one', 'two', 'three']) await api.upload(id, `${name}.jpg`, await media.jpeg());
    await api.upload(id, 'one.txt', 'a caption, with tags');
    await api.upload(id, 'two.txt', ' ');
    await api.upload(id, 'stray.txt', 'a caption without media');
    await api.upload(id, 'page.jpg', media.damaged.html());
    empty = await api.newDataset('an empty one');
    filling = await api.newDataset('one that is filled');
  });

  const text = (words: string) => (page: Page) => page.getByText(words).first().waitFor();

  /** Every page, and every dialog and panel that opens on it. */
  const PAGES: readonly { name: string; path: () => string; open: (page: Page) => Promise<void> }[] = [
    { name: 'datasets', path: () => '/', open: text('an empty one') },
    {
      name: 'creating a dataset',
      path: () => '/',
      open: async (page) => {
        await page.getByRole('button', { name: 'New dataset' }).click();
        await page.getByLabel('Name', { exact: true }).fill('a/b');
        await page.getByText('contains "/"').waitFor();
      },
    },
    {
      name: 'deleting a dataset',
      path: () => '/',
      open: async (page) => {
        await page.getByRole('button', { name: 'Delete an empty one' }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    { name: 'files', path: () => `/datasets/${id}`, open: text('one.jpg') },
    {
      name: 'selected files',
      path: () => `/datasets/${id}`,
      open: async (page) => {
        await page.getByLabel('Select one.jpg').check();
        await page.getByRole('button', { name: 'Delete', exact: true }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    {
      name: 'a file in full',
      path: () => `/datasets/${id}`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Open two.jpg' }).click();
        await page.getByRole('dialog').getByText('SHA-256').waitFor();
      },
    },
    { name: 'rejected uploads', path: () => `/datasets/${id}?filter=rejected`, open: text('page.jpg') },
    { name: 'an empty dataset', path: () => `/datasets/${empty}`, open: text('No files yet') },
    {
      name: 'a question about files',
      path: () => `/datasets/${filling}`,
      open: async (page) => {
        await page.locator(FILES).setInputFiles([bytesOf('a.txt', 'a caption'), bytesOf('a.psd', 'no image')]);
        await page.getByRole('dialog').getByText('a.psd').first().waitFor();
      },
    },
    {
      name: 'uploads',
      path: () => `/datasets/${filling}`,
      open: async (page) => {
        await page.locator(FILES).setInputFiles([bytesOf('page.jpg', media.damaged.html())]);
        await dockOf(page).getByText('1 file could not be uploaded').waitFor();
      },
    },
    { name: 'captions', path: () => `/datasets/${id}/captions`, open: text('a caption without media') },
    {
      name: 'changes to many captions',
      path: () => `/datasets/${id}/captions`,
      open: async (page) => {
        await page.getByLabel('Trigger word').fill('sks');
        await page.getByText(/\d changes to/).waitFor();
      },
    },
    { name: 'fitness', path: () => `/datasets/${id}/fitness`, open: text('three.jpg has no caption') },
  ];

  for (const theme of ['light', 'dark'] as const) {
    test(`there are none on the sign-in page, ${theme}`, async () => {
      const { page, context } = await visit(site.browser, site.server, { theme });
      await page.getByLabel('Token').waitFor();
      expect(await seriousViolations(page)).toEqual([]);
      await context.close();
    });

    test.each(PAGES)(`there are none with $name, ${theme}`, async ({ path, open }) => {
      const { page, context, browserErrors } = await site.open(path(), { theme });
      await open(page);
      expect(await seriousViolations(page)).toEqual([]);
      expect(browserErrors).toEqual([]);
      await context.close();
    });
  }
});
