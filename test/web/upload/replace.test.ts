import { beforeAll, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy } from '../../harness/proxy.js';
import { eventually } from '../../harness/server.js';
import { flipBit, pathOfBytes } from '../../harness/transferring.js';
import { datasetWith } from '../linked-datasets.js';
import { dockOf, replaceButton, replaceFile, showDetails } from './drop-files.js';

describeInBrowser('a file with another extension', (site) => {
  let proxy: BreakingProxy;
  let png: { name: string; buffer: Buffer };
  runProxy(site, (started) => {
    proxy = started;
  });
  beforeAll(async () => {
    png = { name: 'any.png', buffer: await media.png() };
  });

  // The proxy passes no events on. A page that has to follow the dataset needs the server itself.
  const open = async (id: string, at: { url: string } = proxy) => ({
    id,
    page: (await site.open(`/datasets/${id}/fitness`, { at })).page,
    statusOf: async () => (await site.api.status(id)).body,
  });

  /** A dataset whose upload `a.jpg` was rejected. */
  const withRejected = async (at?: { url: string }) =>
    open(await datasetWith(site.api, { 'a.txt': 'a wagon', 'a.jpg': media.damaged.html() }), at);

  /** A dataset whose stored `a.jpg` was found damaged by a recheck. */
  async function withDamaged() {
    const image = await media.jpeg({ seed: 31 });
    const id = await datasetWith(site.api, { 'a.txt': 'a wagon', 'a.jpg': image });
    await flipBit(await pathOfBytes(site.server.dataFolder, image));
    await site.api.raw('POST', `/${id}/recheck`);
    await eventually(async () => (await site.api.status(id)).body.damaged);
    return open(id);
  }

  /** Holds back the bytes of the next upload until `proxy.release()`. */
  function holdNextUpload() {
    const before = proxy.requests('PUT', '').length;
    proxy.rule(({ method }) => (method === 'PUT' ? { holdAfterBytes: 1 } : undefined));
    return { isHeld: () => eventually(() => (proxy.requests('PUT', '')[before]?.bytes ?? 0) > 0 || undefined) };
  }

  test('takes the place of a damaged one once it is stored, and not before', async () => {
    const { id, page, statusOf } = await withDamaged();
    // It is gone again when the page reads whether it is stored.
    const remove = () => site.api.raw('DELETE', `/${id}/files/a.png`);
    await page.route(/\/status/, (route) => remove().then(() => route.continue()));
    await replaceFile(page, 'a.jpg', png);
    await dockOf(page).getByText('1 rejected:').waitFor();
    await page.unroute(/\/status/);
    const upload = holdNextUpload();
    await replaceFile(page, 'a.jpg', png);
    await upload.isHeld();
    expect((await statusOf()).damaged).toMatchObject([{ filename: 'a.jpg' }]);
    proxy.rule();
    proxy.release();
    await dockOf(page).getByText('1 file uploaded').waitFor();
    const { status, files, damaged } = await statusOf();
    expect([status, files.map(({ filename }) => filename), damaged]).toEqual(['READY', ['a.png', 'a.txt'], undefined]);
  });

  test('that is rejected leaves the old entry, with its explanation, and the page says why', {
    tags: ['long'],
  }, async () => {
    const { page } = await withRejected(site.server);
    await replaceFile(page, 'a.jpg', { name: 'any.png', buffer: media.damaged.html() });
    await dockOf(page).getByText('1 rejected:').waitFor();
    await replaceButton(page, 'a.png').waitFor();
    await replaceButton(page, 'a.jpg').waitFor();
    await replaceFile(page, 'a.jpg', png);
    await page.getByRole('heading', { name: 'Fit to train', exact: true }).waitFor();
  });

  test('does not remove what another client uploaded meanwhile, and the page says so', async () => {
    const { id, page } = await withDamaged();
    const upload = holdNextUpload();
    await replaceFile(page, 'a.jpg', png);
    await upload.isHeld();
    await site.api.upload(id, 'a.jpg', await media.jpeg({ seed: 32 }));
    proxy.rule();
    proxy.release();
    const dock = dockOf(page);
    await dock.getByText('1 old file kept', { exact: true }).waitFor();
    await showDetails(page);
    await dock.getByRole('heading', { name: '1 old file kept beside the new' }).waitFor();
    await dock
      .getByText('a.png is stored. a.jpg was kept, because another client changed it meanwhile. Delete one of them.')
      .waitFor();
    await dock.getByText('1 file uploaded').waitFor();
    await expect.poll(() => dock.getByRole('button', { name: /^Retry/ }).count()).toBe(0);
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'a.png', 'a.txt']);
  });
});
