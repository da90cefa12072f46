import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy } from '../../harness/proxy.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';
import { datasetWith } from '../linked-datasets.js';
import { bytesOf, dockOf, FILES, sendsOf } from './drop-files.js';

describeInBrowser('an interrupted upload', (site) => {
  let proxy: BreakingProxy;
  runProxy(site, (started) => {
    proxy = started;
  });

  const twoPairs = async () => [
    bytesOf('a.jpg', await media.jpeg()),
    bytesOf('a.txt', 'a wagon'),
    bytesOf('b.jpg', await media.jpeg({ seed: 2 })),
    bytesOf('b.txt', 'a depot'),
  ];

  /** A page that sends two pairs, of which one file arrives and the others are blocked. */
  async function sendingPage() {
    const id = await site.api.newDataset();
    const { page } = await site.open(`/datasets/${id}`, { at: proxy });
    const before = proxy.requests('PUT', '').length;
    proxy.rule(({ method }) =>
      method === 'PUT' && proxy.requests('PUT', '').length > before + 1 ? { holdAfterBytes: 1 } : undefined,
    );
    await page.locator(FILES).setInputFiles(await twoPairs());
    await eventually(() => (proxy.requests('PUT', '').length === before + 4 ? true : undefined));
    await eventually(async () => ((await site.api.filenames(id)).length === 1 ? true : undefined));
    return { id, page, panel: page.getByRole('region', { name: 'Interrupted upload' }) };
  }

  test('says so after a reload, and goes on with what is missing when the files are chosen again', async () => {
    const { id, page, panel } = await sendingPage();
    await dockOf(page).getByRole('heading', { name: '1 of 4 files' }).waitFor();
    await expect.poll(() => panel.count()).toBe(0);
    // Another tab does not report it while files are received.
    const other = await site.open(`/datasets/${id}/fitness`);
    await other.page.getByText('Waiting for 3 files').first().waitFor();
    await expect.poll(() => other.page.getByRole('region', { name: /Interrupted upload|Warnings/ }).count()).toBe(0);
    page.on('dialog', (dialog) => void dialog.accept());
    await page.reload();
    await panel.getByText('Interrupted: 3 files were announced and not sent.').waitFor();

    proxy.rule();
    proxy.release();
    const sends = sendsOf(page);
    await page
      .locator(FILES)
      .first()
      .setInputFiles(await twoPairs());
    await dockOf(page).getByText('3 files uploaded').waitFor();
    expect(sends).toHaveLength(3);
    await expect.poll(() => panel.count()).toBe(0);
    expect(await site.api.filenames(id)).toHaveLength(4);
  });

  test('can be withdrawn', async () => {
    const { id, page, panel } = await sendingPage();
    page.on('dialog', (dialog) => void dialog.accept());
    await page.reload();
    await panel.getByRole('button', { name: 'Withdraw 3 files' }).click();
    await panel.waitFor({ state: 'detached' });
    expect((await site.api.status(id)).body.counts.pending).toBe(0);
    expect(await site.api.filenames(id)).toHaveLength(1);
  });

  test('is one message, and no list of errors, once its links have expired', { tags: ['long'] }, async () => {
    const server = await startServer({ 'caption-grace-seconds': 0, 'link-seconds': 1 });
    try {
      const api = await server.api();
      const id = await datasetWith(api, { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c', 'c.jpg': await media.jpeg() });
      await api.links(id, { 'a.jpg': 1000, 'b.jpg': 1000 });
      await eventually(async () => ((await api.status(id)).body.status === 'FAILED' ? true : undefined));
      const { page } = await site.open(`/datasets/${id}/fitness`, { at: server, token: api.token });
      await page.getByText('Interrupted: 2 files were announced and not sent.').waitFor();
      await page.getByText('An upload was interrupted.').waitFor();
      await expect.poll(() => page.getByRole('region', { name: 'Warnings' }).count()).toBe(0);
      await page.getByRole('button', { name: 'Withdraw 2 files' }).click();
      await page.getByRole('region', { name: 'Warnings' }).getByText('a.txt belongs to no image or video').waitFor();
    } finally {
      await discardServer(server);
    }
  });
});
