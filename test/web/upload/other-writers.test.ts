import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy } from '../../harness/proxy.js';
import { eventually } from '../../harness/server.js';
import { datasetWith } from '../linked-datasets.js';
import { bytesOf, dockOf, failureOf, FILES } from './drop-files.js';

describeInBrowser('uploads while others write', (site) => {
  let proxy: BreakingProxy;
  runProxy(site, (started) => {
    proxy = started;
  });

  test('a file that waits does not replace a caption that was edited meanwhile, unless it is retried', async () => {
    const id = await datasetWith(site.api, { 'a.jpg': await media.jpeg(), 'a.txt': 'a wagon' });
    const { page } = await site.open(`/datasets/${id}`, { at: proxy });
    const choose = (name: string, text: string) =>
      page
        .locator(FILES)
        .first()
        .setInputFiles([bytesOf(name, text)]);
    proxy.rule(({ pathname }) => (pathname.startsWith('/uploads/') ? { holdAfterBytes: 1 } : undefined));
    await choose('first.txt', 'a caption that is sent first');
    await eventually(() => (proxy.requests('PUT', '/uploads/').length > 0 ? true : undefined));
    await choose('a.txt', 'the caption of the folder');
    await page.getByRole('button', { name: 'Upload 1 file' }).click();
    const caption = page.getByLabel('Caption of a.jpg');
    await caption.fill('an edit while the upload waits');
    await caption.blur();
    await page.getByText('Saved', { exact: true }).waitFor();
    proxy.rule();
    proxy.release();
    await (await failureOf(page, 'a.txt'))
      .getByText('a.txt was changed or deleted in the dataset meanwhile. Retry replaces the version that is there.')
      .waitFor();
    expect(await site.api.text(id, 'a.txt')).toBe('an edit while the upload waits');
    await dockOf(page).getByRole('button', { name: 'Retry a.txt' }).click();
    await dockOf(page).getByText('2 files uploaded', { exact: true }).waitFor();
    expect(await site.api.text(id, 'a.txt')).toBe('the caption of the folder');
  });
});
