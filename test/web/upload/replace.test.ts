import { beforeAll, expect, test } from 'vitest';
import type { WireRecheck } from '../../../src/api/schemas.js';
import * as media from '../../fixtures/media.js';
import { whyNoFfmpeg } from '../../harness/available.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy } from '../../harness/proxy.js';
import { eventually, startServer } from '../../harness/server.js';
import { flipBit, pathOfBytes } from '../../harness/transferring.js';
import { bytesOf, dockOf, FILES } from './drop-files.js';
import { failureOf, replaceButton, replaceFile } from './replace-file.js';

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
    ...(await site.open(`/datasets/${id}/fitness`, { at })),
    statusOf: async () => (await site.api.status(id)).body,
  });

  /** A dataset whose upload `a.jpg` was rejected. */
  async function withRejected(at?: { url: string }) {
    const id = await site.api.newDataset();
    await site.api.upload(id, 'a.txt', 'a wagon');
    await site.api.upload(id, 'a.jpg', media.damaged.html());
    return open(id, at);
  }

  /** A dataset whose stored `a.jpg` was found damaged by a recheck. */
  async function withDamaged() {
    const id = await site.api.newDataset();
    const image = await media.jpeg({ seed: 31 });
    await site.api.upload(id, 'a.txt', 'a wagon');
    await site.api.upload(id, 'a.jpg', image);
    const path = await pathOfBytes(site.server.dataFolder, image);
    await flipBit(path);
    await site.api.request<WireRecheck>('POST', `/${id}/recheck`);
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
    const { page, statusOf, browserErrors } = await withDamaged();
    const upload = holdNextUpload();
    await replaceFile(page, 'a.jpg', png);
    await upload.isHeld();
    expect((await statusOf()).damaged).toMatchObject([{ filename: 'a.jpg' }]);
    proxy.rule();
    proxy.release();
    await dockOf(page).getByText('1 file uploaded').waitFor();
    const { status, files, damaged } = await statusOf();
    expect([status, files.map(({ filename }) => filename), damaged]).toEqual(['READY', ['a.png', 'a.txt'], undefined]);
    expect(browserErrors).toEqual([]);
  });

  test('or with the same one takes the place of a damaged one', async () => {
    const { page, statusOf, browserErrors } = await withDamaged();
    await replaceFile(page, 'a.jpg', { name: 'any.jpg', buffer: await media.jpeg({ seed: 33 }) });
    await dockOf(page).getByText('1 file uploaded').waitFor();
    const { status, damaged } = await statusOf();
    expect([status, damaged]).toEqual(['READY', undefined]);
    expect(browserErrors).toEqual([]);
  });

  test('that is rejected leaves the old entry, with its explanation, and the page says why', async () => {
    const { page, browserErrors } = await withRejected(site.server);
    await replaceFile(page, 'a.jpg', { name: 'any.png', buffer: media.damaged.html() });
    await failureOf(page, 'a.png').getByText('a.jpg was not replaced.').waitFor();
    await replaceButton(page, 'a.png').waitFor();
    await replaceButton(page, 'a.jpg').waitFor();
    await replaceFile(page, 'a.jpg', png);
    await page.getByRole('heading', { name: 'Fit to train', exact: true }).waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('that fails leaves the old entry, and replaces it when it is sent again', async () => {
    const { id, page } = await withRejected();
    const body = JSON.stringify({ error_code: 422000, error_message: 'Not today.' });
    proxy.rule(({ method }) => (method === 'PUT' ? { status: 422, body } : undefined));
    await replaceFile(page, 'a.jpg', png);
    await failureOf(page, 'a.png').getByText('Not today. a.jpg was not replaced.').waitFor();
    expect((await site.api.status(id)).body.counts.rejected).toBe(1);
    proxy.rule();
    await dockOf(page).getByRole('button', { name: 'Retry a.png' }).click();
    await dockOf(page).getByText('1 file uploaded').waitFor();
    expect((await site.api.status(id)).body).toMatchObject({ status: 'READY', counts: { rejected: 0 } });
  });

  test('that fails can be sent again while its upload is withdrawn', async () => {
    const { id, page } = await withRejected();
    let sendAgain = (): void => {};
    const isSentAgain = new Promise<undefined>((resolve) => {
      sendAgain = () => resolve(undefined);
    });
    let puts = 0;
    proxy.rule(({ method }) => {
      if (method === 'PUT' && ++puts === 1) return { status: 422 };
      return method === 'DELETE' ? isSentAgain : undefined;
    });
    await replaceFile(page, 'a.jpg', png);
    await eventually(() => proxy.requests('DELETE', id).length > 0 || undefined);
    await dockOf(page).getByRole('button', { name: 'Retry a.png' }).click();
    sendAgain();
    await dockOf(page).getByText('1 file uploaded', { exact: true }).waitFor();
    expect((await site.api.status(id)).body).toMatchObject({ status: 'READY', counts: { rejected: 0 } });
  });

  test('that is cancelled leaves the old entry', async () => {
    const { page, statusOf } = await withRejected();
    const upload = holdNextUpload();
    await replaceFile(page, 'a.jpg', png);
    await upload.isHeld();
    await dockOf(page).getByRole('button', { name: 'Cancel' }).click();
    await dockOf(page).getByText('Cancelled, 0 files uploaded').waitFor();
    await replaceButton(page, 'a.jpg').waitFor();
    expect(await statusOf()).toMatchObject({ status: 'FAILED', counts: { rejected: 1, pending: 0 } });
  });

  test('leaves the old entry if the page is loaded again before it is stored', async () => {
    const { page, statusOf } = await withRejected();
    const upload = holdNextUpload();
    await replaceFile(page, 'a.jpg', png);
    await upload.isHeld();
    page.on('dialog', (dialog) => void dialog.accept());
    await page.reload();
    const interrupted = page.getByRole('region', { name: 'Interrupted upload' });
    await interrupted.getByRole('button', { name: 'Withdraw 1 file' }).click();
    await replaceButton(page, 'a.jpg').waitFor();
    const { error } = await statusOf();
    expect(error?.problems).toContainEqual(expect.objectContaining({ filename: 'a.jpg', code: 'NOT_AN_IMAGE' }));
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
    await dock.getByRole('heading', { name: '1 old file kept beside the new' }).waitFor();
    await dock
      .getByText('a.png is stored. a.jpg was kept, because another client changed it meanwhile. Delete one of them.')
      .waitFor();
    await dock.getByText('1 file uploaded').waitFor();
    expect(await dock.getByText(/could not be uploaded|failed/).count()).toBe(0);
    expect(await dock.getByRole('button', { name: /^Retry/ }).count()).toBe(0);
    expect(await site.api.filenames(id)).toEqual(['a.jpg', 'a.png', 'a.txt']);
    await dock.getByRole('button', { name: 'Dismiss a.png' }).click();
    await dock.getByText('a.png is stored.').waitFor({ state: 'detached' });
  });

  test('that is checked for long holds no other upload', async () => {
    const other = await site.api.newDataset('wagons of the meantime');
    const { id, page, statusOf } = await withRejected();
    const upload = holdNextUpload();
    await replaceFile(page, 'a.jpg', png);
    await upload.isHeld();
    let endCheck = () => {};
    const checked = new Promise<undefined>((resolve) => (endCheck = () => resolve(undefined)));
    proxy.rule(({ method, pathname }) =>
      method === 'GET' && pathname.endsWith(`/${id}/status`) ? checked : undefined,
    );
    proxy.release();
    await dockOf(page).getByText('Checking what was sent').waitFor();
    await page.getByRole('link', { name: 'All datasets' }).click();
    await page.getByRole('link', { name: 'wagons of the meantime' }).click();
    await page.locator(FILES).setInputFiles([bytesOf('b.txt', 'a green wagon')]);
    await eventually(async () => ((await site.api.filenames(other)).length > 0 ? true : undefined));
    expect((await statusOf()).counts.rejected).toBe(1);
    endCheck();
    await dockOf(page).getByText('2 files uploaded').waitFor();
    expect((await statusOf()).counts.rejected).toBe(0);
  });
});

describeInBrowser(
  'a clip that is decoded after its upload was answered',
  {
    start: () => startServer({ 'caption-grace-seconds': 0 }),
    whyNot: whyNoFfmpeg(),
  },
  (site) => {
    test('replaces one with another extension only if its frames are intact', async () => {
      const id = await site.api.newDataset();
      await site.api.upload(id, 'a.txt', 'a wagon');
      await site.api.upload(id, 'a.mp4', media.damaged.html());
      const { page, browserErrors } = await site.open(`/datasets/${id}/fitness`);
      await replaceFile(page, 'a.mp4', { name: 'any.avi', buffer: media.longClip(media.damaged.clip()) });
      await failureOf(page, 'a.avi')
        .getByText(/^a\.avi is damaged.* a\.mp4 was not replaced\.$/)
        .waitFor();
      await replaceButton(page, 'a.mp4').waitFor();
      await page.getByRole('button', { name: 'Dismiss a.mp4' }).click();
      await replaceFile(page, 'a.avi', { name: 'any.mp4', buffer: media.longClip(media.clip('faststart.mp4')) });
      await page.getByRole('heading', { name: 'Fit to train', exact: true }).waitFor();
      expect(await site.api.filenames(id)).toEqual(['a.mp4', 'a.txt']);
      expect(browserErrors).toEqual([]);
    });
  },
);
