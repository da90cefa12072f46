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

  /** Opens a dataset, to which an upload is held by the proxy until `sendAll`; files that are chosen then wait for it. */
  async function withHeldUpload(id: string, path = '') {
    const visited = await site.open(`/datasets/${id}${path}`, { at: proxy });
    const input = visited.page.locator(FILES).first();
    const before = proxy.requests('PUT', '/uploads/').length;
    proxy.rule(({ pathname }) => (pathname.startsWith('/uploads/') ? { holdAfterBytes: 1 } : undefined));
    await input.setInputFiles([bytesOf('first.txt', 'a caption that is sent first')]);
    await eventually(() => (proxy.requests('PUT', '/uploads/').length > before ? true : undefined));
    const sendAll = () => {
      proxy.rule();
      proxy.release();
    };
    const choose = (name: string, text: string) => input.setInputFiles([bytesOf(name, text)]);
    return { ...visited, dock: dockOf(visited.page), choose, sendAll };
  }

  test('a file that waits does not replace a caption that was edited meanwhile, unless it is retried', async () => {
    const id = await datasetWith(site.api, { 'a.jpg': await media.jpeg(), 'a.txt': 'a wagon' });
    const { page, dock, choose, sendAll } = await withHeldUpload(id, '/captions');
    await choose('a.txt', 'the caption of the folder');
    await page.getByRole('button', { name: 'Upload 1 file' }).click();
    const caption = page.getByLabel('Caption of a.jpg');
    await caption.fill('an edit while the upload waits');
    await caption.blur();
    await page.getByText('Saved', { exact: true }).waitFor();
    sendAll();
    await (await failureOf(page, 'a.txt'))
      .getByText('a.txt was changed or deleted in the dataset meanwhile. Retry replaces the version that is there.')
      .waitFor();
    expect(await site.api.text(id, 'a.txt')).toBe('an edit while the upload waits');
    await dock.getByRole('button', { name: 'Retry a.txt' }).click();
    await dock.getByText('2 files uploaded', { exact: true }).waitFor();
    expect(await site.api.text(id, 'a.txt')).toBe('the caption of the folder');
  });

  test('a file that was new when it was chosen does not replace one that another client adds, unless it is retried', async () => {
    const id = await site.api.newDataset();
    const { page, dock, choose, sendAll } = await withHeldUpload(id);
    await choose('b.txt', 'the caption of the folder');
    await dock.getByText('Uploading, 0 of 2 files').waitFor();
    await site.api.upload(id, 'b.txt', 'the caption of another client');
    sendAll();
    await (await failureOf(page, 'b.txt'))
      .getByText('Another version of b.txt was added to the dataset meanwhile. Retry replaces it.')
      .waitFor();
    expect(await site.api.text(id, 'b.txt')).toBe('the caption of another client');
    await dock.getByRole('button', { name: 'Retry b.txt' }).click();
    await dock.getByText('2 files uploaded', { exact: true }).waitFor();
    expect(await site.api.text(id, 'b.txt')).toBe('the caption of the folder');
  });

  test('a file replaces one of its name that waited in the queue before it', async () => {
    const id = await site.api.newDataset();
    const { page, dock, choose, sendAll } = await withHeldUpload(id);
    await choose('first.txt', 'a caption that was chosen later');
    await page.getByRole('button', { name: 'Upload 1 file' }).click();
    await dock.getByText('Uploading, 0 of 2 files').waitFor();
    sendAll();
    await dock.getByText('2 files uploaded', { exact: true }).waitFor();
    expect(await site.api.text(id, 'first.txt')).toBe('a caption that was chosen later');
  });
});
