import { beforeAll, expect, test } from 'vitest';
import { ERRORS } from '../../../src/dataset/errors.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy, Fault, Rule } from '../../harness/proxy.js';
import { eventually } from '../../harness/server.js';
import { flipBit, pathOfBytes } from '../../harness/transferring.js';
import { datasetWith } from '../linked-datasets.js';
import { bytesOf, dockOf, failureOf, FILES, replaceButton, replaceFile, sendsOf, showDetails } from './drop-files.js';

const onPut =
  (fault: Fault | undefined): Rule =>
  ({ method }) =>
    method === 'PUT' ? fault : undefined;

const rejection = (status: number, message: string, error_code = status * 1000): Fault => ({
  status,
  body: JSON.stringify({ error_code, error_message: message }),
});

describeInBrowser('uploads with faults', (site) => {
  let proxy: BreakingProxy;
  runProxy(site, (started) => {
    proxy = started;
  });

  /** Starts to upload three captions to a dataset under the proxy rule. */
  const uploading = async (rule?: Rule) => {
    const id = await site.api.newDataset();
    // The proxy holds back streams of events.
    const { page } = await site.open(`/datasets/${id}`, rule && { at: proxy });
    proxy.rule(rule);
    const files = ['a', 'b', 'c'].map((name) => bytesOf(`${name}.txt`, `a caption of ${name}`));
    await page.locator(FILES).setInputFiles(files);
    const dock = dockOf(page);
    const failures = dock.getByRole('list', { name: 'Files that could not be uploaded' }).getByRole('listitem');
    const showDetails = () => dock.getByRole('button', { name: 'Show the details of uploads' }).click();
    return { page, id, dock, failures, showDetails };
  };

  /** Like `uploading`, with all three requests in flight and blocked by the proxy. */
  const blockedByProxy = async () => {
    const before = proxy.requests('PUT', '').length;
    const started = await uploading(onPut({ holdAfterBytes: 1 }));
    await eventually(() => (proxy.requests('PUT', '').length === before + 3 ? true : undefined));
    return started;
  };

  const awaitedIn = async (id: string) => (await site.api.status(id)).body.awaited ?? [];

  test('a rejected file is counted, and its reason stands in the dataset alone, where it can be replaced', async () => {
    const { page, dock, id } = await uploading();
    await dock.getByText('3 files uploaded').waitFor();
    const broken = media.damaged.cut(await media.jpeg(), 700);
    await page.locator(FILES).setInputFiles([bytesOf('good.jpg', await media.jpeg()), bytesOf('broken.jpg', broken)]);
    await dock.getByText('1 of 2 files uploaded').waitFor();
    await dock.getByText('1 rejected:').waitFor();
    const { message } = (await site.api.status(id)).body.error!.problems.find(
      ({ filename }) => filename === 'broken.jpg',
    )!;
    await page.getByRole('link', { name: 'All datasets' }).click();
    await dock.getByRole('link', { name: /^see why/ }).click();
    await page.getByText(message).first().waitFor();
    await expect.poll(() => dock.getByRole('button', { name: /Retry/ }).count()).toBe(0);
    await page.getByRole('button', { name: 'Replace broken.jpg' }).waitFor();
  });

  test('the card of uploads opens by a click alone, covers a corner at most, and leaves after ten seconds', {
    tags: ['long'],
  }, async () => {
    const id = await site.api.newDataset();
    const { page, context } = await site.open(`/datasets/${id}`);
    await page.getByRole('button', { name: 'Add', exact: true }).waitFor();
    await page.clock.install();
    await page.locator(FILES).setInputFiles([bytesOf('a.txt', 'a caption')]);
    const dock = dockOf(page);
    await dock.getByText('1 file uploaded').waitFor();
    await expect.poll(() => dock.getByRole('list', { name: 'Datasets' }).count()).toBe(0);
    const { x, width, height } = (await dock.boundingBox())!;
    expect([width <= 360, height < 200, x > 640]).toEqual([true, true, true]);
    await dock.hover();
    await page.clock.fastForward(11_000);
    await expect.poll(() => dock.count()).toBe(1);
    await page.mouse.move(10, 10);
    await page.clock.fastForward(11_000);
    await dock.waitFor({ state: 'detached' });
    await context.close();
  });

  test('files that fail can be retried or chosen again, and an error of the service stops all', async () => {
    const { page, dock, id, failures, showDetails } = await uploading(onPut(rejection(422, 'Not today.')));
    await dock.getByText('0 of 3 files uploaded').waitFor();
    await showDetails();
    await failures.first().waitFor();
    await expect.poll(() => failures.getByText('Not today.').count()).toBe(3);
    proxy.rule();
    await dock.getByRole('button', { name: 'Retry b.txt' }).click();
    await dock.getByText('1 of 3 files uploaded').waitFor();
    expect(await site.api.filenames(id)).toEqual(['b.txt']);
    await page.locator(FILES).setInputFiles([bytesOf('a.txt', 'a caption of a')]);
    await failures.filter({ hasText: 'a.txt' }).waitFor({ state: 'detached' });
    await expect.poll(() => failures.count()).toBe(1);
    await dock.getByRole('button', { name: 'Retry c.txt' }).click();
    await failures.waitFor({ state: 'detached' });
    await expect.poll(() => site.api.filenames(id)).toEqual(['a.txt', 'b.txt', 'c.txt']);
    proxy.rule(onPut(rejection(507, 'The disk is full.')));
    await page.locator(FILES).setInputFiles([bytesOf('d.txt', 'a fourth')]);
    await dock.getByText('The disk is full.').waitFor();
    await dock.getByText(/^Stopped/).waitFor();
    proxy.rule();
    await dock.getByRole('button', { name: 'Try again' }).click();
    await expect.poll(() => site.api.filenames(id)).toContain('d.txt');
    // The same bytes would be rejected again.
    proxy.rule(onPut(rejection(413, 'It is too large.', ERRORS.too_large)));
    await page.locator(FILES).setInputFiles([bytesOf('e.txt', 'a fifth')]);
    await (await failureOf(page, 'e.txt')).getByRole('button', { name: 'Replace e.txt' }).waitFor();
  });

  test('uploads can be paused, joined by others, resumed, and cancelled', async () => {
    const { page, dock, id } = await blockedByProxy();
    await dock.getByRole('button', { name: 'Pause' }).click();
    await dock.getByText('Paused, 0 of 3 files').waitFor();
    expect(await awaitedIn(id)).toHaveLength(3);
    await page.locator(FILES).setInputFiles([bytesOf('d.txt', 'a fourth')]);
    await dock.getByText('0 of 4 files').first().waitFor();
    proxy.rule();
    await dock.getByRole('button', { name: 'Resume' }).click();
    await dock.getByText('4 files uploaded').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.txt', 'b.txt', 'c.txt', 'd.txt']);

    proxy.rule(onPut({ holdAfterBytes: 1 }));
    await page.locator(FILES).setInputFiles([bytesOf('e.txt', 'a fifth')]);
    await eventually(async () => ((await awaitedIn(id)).length === 1 ? true : undefined));
    await dock.getByRole('button', { name: 'Cancel' }).click();
    await dock.getByText(/^Cancelled/).waitFor();
    proxy.release();
    expect(await awaitedIn(id)).toEqual([]);
    expect(await site.api.filenames(id)).not.toContain('e.txt');
  });

  test('uploads end when another account signs in', async () => {
    const { page, dock, id, showDetails } = await blockedByProxy();
    await showDetails();
    const { api } = await site.newAccount();
    await page.evaluate((token) => location.assign(`#token=${token}`), api.token);
    await page.getByRole('button', { name: 'Switch' }).click();
    await dock.getByText('It was deleted, or is in another account.').waitFor();
    expect(await site.api.filenames(id)).toEqual([]);
  });

  test('leaving the page warns while uploads are unfinished', async () => {
    const { page, dock } = await blockedByProxy();
    // Browsers show the dialog only after the user has interacted with the page.
    await dock.getByRole('button', { name: 'Show the details of uploads' }).click();
    const dialogs: string[] = [];
    page.on('dialog', (dialog) => {
      dialogs.push(dialog.type());
      void dialog.dismiss();
    });
    await page.evaluate(() => location.reload());
    await eventually(() => (dialogs.length === 1 ? true : undefined));
    expect(dialogs).toEqual(['beforeunload']);
    proxy.rule();
    proxy.release();
    await dock.getByText('3 files uploaded').waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Add', exact: true }).waitFor();
    expect(dialogs).toHaveLength(1);
  });

  test('a revoked token signs out and says why, and uploads continue after the next sign-in', async () => {
    const isRefused: Rule = ({ method, path }) => {
      if (method === 'PUT') return { resetAfterBytes: 1 };
      return /status|account/.test(path) ? rejection(401, 'This token was revoked.') : undefined;
    };
    const { page, dock } = await blockedByProxy();
    proxy.rule(isRefused);
    await proxy.goAway();
    await dock.getByText('Waiting for the network').first().waitFor();
    await proxy.comeBack();
    await page.getByText('This token was revoked.').waitFor();
    await page.getByText('Sign in to continue your uploads, 0 of 3 files').first().waitFor();
    proxy.rule();
    await page.getByLabel('Token').fill(site.api.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await dock.getByText('3 files uploaded').waitFor();
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
    const before = proxy.requests('PUT', '/uploads/').length;
    await choose('first.txt', 'a caption that is sent first');
    await eventually(() => (proxy.requests('PUT', '/uploads/').length > before ? true : undefined));
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

  test('an interrupted upload is told of after a reload, goes on when the files are chosen again, and can be withdrawn', async () => {
    const files = ['a', 'b', 'c', 'd'].map((name) => bytesOf(`${name}.txt`, `the caption of ${name}`));
    const id = await site.api.newDataset();
    const { page } = await site.open(`/datasets/${id}`, { at: proxy });
    const panel = page.getByRole('region', { name: 'Interrupted upload' });
    // One file arrives, and the others are blocked.
    const before = proxy.requests('PUT', '').length;
    const puts = () => proxy.requests('PUT', '').length - before;
    proxy.rule(({ method }) => (method === 'PUT' && puts() > 1 ? { holdAfterBytes: 1 } : undefined));
    await page.locator(FILES).setInputFiles(files);
    await eventually(async () => (puts() === 4 && (await site.api.filenames(id)).length === 1 ? true : undefined));
    await dockOf(page).getByRole('heading', { name: '1 of 4 files' }).waitFor();
    await expect.poll(() => panel.count()).toBe(0);
    // Another tab does not report it while files are received.
    const other = await site.open(`/datasets/${id}/fitness`);
    await other.page.getByText('Waiting for 3 files').first().waitFor();
    await other.page.getByRole('region', { name: 'Warnings' }).getByText('Captions without media').waitFor();
    expect(await other.page.getByText(/interrupted/i).count()).toBe(0);
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

  let png: { name: string; buffer: Buffer };
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

  test('a file with another extension takes the place of a damaged one once it is stored, and not before', async () => {
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

  test('one that is rejected leaves the old entry, with its explanation, and the page says why', {
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

  test('it does not remove what another client uploaded meanwhile, and the page says so', async () => {
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
