import { expect, test } from 'vitest';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy } from '../../harness/proxy.js';
import { eventually } from '../../harness/server.js';
import { bytesOf, dockOf, FILES, sendsOf } from './drop-files.js';

describeInBrowser('an interrupted upload', (site) => {
  let proxy: BreakingProxy;
  runProxy(site, (started) => {
    proxy = started;
  });

  test('says so after a reload, goes on when the files are chosen again, and can be withdrawn', async () => {
    const files = ['a', 'b', 'c', 'd'].map((name) => bytesOf(`${name}.txt`, `the caption of ${name}`));
    const id = await site.api.newDataset();
    const { page } = await site.open(`/datasets/${id}`, { at: proxy });
    const panel = page.getByRole('region', { name: 'Interrupted upload' });
    // One file arrives, and the others are blocked.
    const puts = () => proxy.requests('PUT', '').length;
    proxy.rule(({ method }) => (method === 'PUT' && puts() > 1 ? { holdAfterBytes: 1 } : undefined));
    await page.locator(FILES).setInputFiles(files);
    await eventually(async () => (puts() === 4 && (await site.api.filenames(id)).length === 1 ? true : undefined));
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
    await page.locator(FILES).first().setInputFiles(files);
    await dockOf(page).getByText('3 files uploaded').waitFor();
    expect(sends).toHaveLength(3);
    await expect.poll(() => panel.count()).toBe(0);

    await site.api.link(id, 'late.txt', 100);
    await page.evaluate((value) => sessionStorage.setItem('trainyard-unfinished-uploads', value), `["${id}"]`);
    await page.reload();
    await panel.getByRole('button', { name: 'Withdraw 1 file' }).click();
    await panel.waitFor({ state: 'detached' });
    expect((await site.api.status(id)).body.counts.pending).toBe(0);
    expect(await site.api.filenames(id)).toHaveLength(4);
  });
});
