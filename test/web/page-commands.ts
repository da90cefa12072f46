import type { Browser, Page } from 'playwright-core';
import { gif } from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { visit } from '../harness/browser.js';
import type { TestServer } from '../harness/server.js';
import { controlsOf, datasetWith, linkDatasets, targetsOf } from './linked-datasets.js';

/** The files of the FAILED dataset, as they are in the folder that they came from. */
export async function filesToFix(): Promise<Record<string, Buffer | string>> {
  return { 'a.png': await gif(), 'a.txt': 'a wagon' };
}

/** Every command that the page shows, in code or in quotes, and where. Makes the datasets that it is shown for. */
export async function pageCommands(browser: Browser, server: TestServer, api: Api): Promise<Map<string, string>> {
  const commands = new Map<string, string>();
  const collect = async (where: string, { token = api.token, path = '/', open }: Place) => {
    const { page, context } = await visit(browser, server, { ...(token !== '' && { token }), path });
    await open(page);
    for (const command of await shownOn(page)) commands.set(command, `the page, ${where}`);
    await context.close();
  };

  await collect('sign-in', { token: '', open: (page) => page.getByLabel('Token').waitFor() });
  const empty = await server.api('an account without datasets');
  await collect('no datasets', { token: empty.token, open: (page) => page.getByText('No datasets yet').waitFor() });
  await collect('a new token', {
    path: '/account',
    open: async (page) => {
      await page.getByRole('button', { name: 'New token' }).click();
      await page.getByRole('button', { name: 'Create token' }).click();
      await page.getByRole('dialog', { name: 'The new token' }).waitFor();
    },
  });

  // A name that a shell must not split.
  const ready = await datasetWith(api, await targetsOf(['a', 'b']), { name: 'a shunting yard' });
  const linked = await datasetWith(api, await targetsOf(['a', 'b']), { name: 'night-yard' });
  const control = await datasetWith(api, await controlsOf(['a', 'b']), { name: 'night-edges', role: 'control' });
  await linkDatasets(api, linked, { control_1: control });
  const failed = await api.newDataset('the drivers cab');
  for (const [name, bytes] of Object.entries(await filesToFix())) await api.upload(failed, name, bytes);
  const shows = (text: string) => (page: Page) => page.getByText(text).first().waitFor();
  await collect('READY', { path: `/datasets/${ready}/train`, open: shows('--digest') });
  await collect('READY, without Node', {
    path: `/datasets/${ready}/train`,
    open: async (page) => {
      await page.getByText('has curl and tar alone').click();
      await page.getByRole('button', { name: 'Create a link' }).click();
      await page.getByText('compare every file with its SHA-256').waitFor();
    },
  });
  await collect('linked', { path: `/datasets/${linked}/train`, open: shows('--digest') });
  await collect('FAILED', { path: `/datasets/${failed}/fitness`, open: shows('fix them in the folder') });
  return commands;
}

interface Place {
  /** Empty: signed out. */
  readonly token?: string;
  readonly path?: string;
  readonly open: (page: Page) => Promise<void>;
}

async function shownOn(page: Page): Promise<string[]> {
  const codes = await page.locator('code').allTextContents();
  const text = (await page.locator('body').textContent()) ?? '';
  const quoted = text.matchAll(/"(trainyard [^"]+)"/g);
  return [...codes, ...[...quoted].map(([, command = '']) => command)].filter((text) =>
    /^(trainyard|npx|npm|curl|mkdir) /.test(text),
  );
}
