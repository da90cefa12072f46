import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { writeMovie } from '../../../bench/movie.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy, Fault, Rule } from '../../harness/proxy.js';
import { eventually, temporaryFolder } from '../../harness/server.js';
import { bytesOf, dockOf, FILES } from './drop-files.js';

/** Several chunks of a proxy and of the service. */
const CLIP_BYTES = 40_000_000;

const onPut =
  (fault: Fault | undefined): Rule =>
  ({ method }) =>
    method === 'PUT' ? fault : undefined;

const rejection = (status: number, message: string): Fault => ({
  status,
  body: JSON.stringify({ error_code: status * 1000, error_message: message }),
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
    const { page, dock, id, failures } = await uploading();
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
    await dock.getByRole('button', { name: 'Show the details of uploads' }).click();
    await dock.getByRole('list', { name: 'Datasets' }).waitFor();
    await expect.poll(() => failures.count()).toBe(0);
    await expect.poll(() => dock.getByRole('button', { name: /Retry/ }).count()).toBe(0);
    await page.getByRole('button', { name: 'Replace broken.jpg' }).waitFor();
  });

  test('a file that would be rejected again can be replaced, not retried', { tags: ['long'] }, async () => {
    const tooLarge: Fault = {
      status: 413,
      body: JSON.stringify({ error_code: 413001, error_message: 'It is too large.' }),
    };
    const { page, dock, id, failures, showDetails } = await uploading(onPut(tooLarge));
    await dock.getByText('3 failed').waitFor();
    await showDetails();
    await failures.getByText('It is too large.').first().waitFor();
    await expect.poll(() => dock.getByRole('button', { name: /^Retry/ }).count()).toBe(0);
    proxy.rule();
    const choosing = page.waitForEvent('filechooser');
    await dock.getByRole('button', { name: 'Replace b.txt' }).click();
    await (await choosing).setFiles([bytesOf('other.txt', 'after')]);
    await dock.getByText('2 failed').waitFor();
    await expect.poll(() => site.api.filenames(id)).toEqual(['b.txt']);
    expect(await site.api.text(id, 'b.txt')).toBe('after');
  });

  test('the card of uploads opens by a click alone, covers a corner at most, and leaves after ten seconds', async () => {
    const id = await site.api.newDataset();
    const { page } = await site.open(`/datasets/${id}`);
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
  });

  test('failed files can be retried, one or all, or chosen again', async () => {
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
  });

  test('uploads can be paused, joined by others, and resumed', async () => {
    const { page, dock, id } = await blockedByProxy();
    const aborted = abortedPuts(page);
    await dock.getByRole('button', { name: 'Pause' }).click();
    await dock.getByText('Paused, 0 of 3 files').waitFor();
    await eventually(() => (aborted.length === 3 ? true : undefined));
    expect(await awaitedIn(id)).toHaveLength(3);
    await page.locator(FILES).setInputFiles([bytesOf('d.txt', 'a fourth')]);
    await dock.getByText('0 of 4 files').first().waitFor();
    proxy.rule();
    await dock.getByRole('button', { name: 'Resume' }).click();
    await dock.getByText('4 files uploaded').waitFor();
    expect(await site.api.filenames(id)).toEqual(['a.txt', 'b.txt', 'c.txt', 'd.txt']);
  });

  test('cancel aborts the requests and withdraws the pending uploads', async () => {
    const { page, dock, id } = await blockedByProxy();
    const aborted = abortedPuts(page);
    await dock.getByRole('button', { name: 'Cancel' }).click();
    await dock.getByText('Cancelled, 0 files uploaded').waitFor();
    expect(aborted).toHaveLength(3);
    proxy.release();
    expect(await awaitedIn(id)).toEqual([]);
    expect((await site.api.status(id)).body).toMatchObject({ status: 'DRAFT', counts: { pending: 0 }, files: [] });
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

  test('an error of the service stops uploads and shows its message, and they can be retried', async () => {
    const { dock, showDetails } = await uploading(onPut(rejection(507, 'The disk is full.')));
    await showDetails();
    await dock.getByText('The disk is full.').waitFor();
    await dock.getByText('Stopped, 0 of 3 files').waitFor();
    proxy.rule();
    await dock.getByRole('button', { name: 'Try again' }).click();
    await dock.getByText('3 files uploaded').waitFor();
  });

  test('uploads wait while a proxy has no route to the service, and then continue', { tags: ['long'] }, async () => {
    const noRoute: Fault = { status: 404, body: '404 page not found\n' };
    const { dock } = await uploading(({ path }) => (/get-upload-endpoint|links/.test(path) ? noRoute : undefined));
    await dock.getByText('Waiting for the network').waitFor();
    proxy.rule();
    await dock.getByText('3 files uploaded').waitFor();
  });

  test('uploads that stop in another account continue in that of the dataset, until it is deleted', {
    tags: ['long'],
  }, async () => {
    const { page, dock, id, showDetails } = await blockedByProxy();
    await showDetails();
    const switchTo = async (token: string) => {
      await page.evaluate((hash) => (location.hash = hash), `token=${token}`);
      await page.getByRole('button', { name: 'Switch', exact: true }).click();
    };
    const noDataset = 'Your account has no such dataset. It was deleted, or is in another account.';
    await switchTo((await site.newAccount()).api.token);
    await dock.getByText(noDataset).waitFor();
    await dock.getByText('Stopped, 0 of 3 files').waitFor();
    await switchTo(site.api.token);
    await dock.getByRole('button', { name: 'Try again' }).click();
    await dock.getByText('Uploading, 0 of 3 files').waitFor();
    await site.api.raw('DELETE', `/${id}`);
    proxy.rule();
    proxy.release();
    await dock.getByText(noDataset).waitFor();
    await dock.getByRole('button', { name: 'Cancel' }).click();
    await dock.getByRole('button', { name: 'Dismiss uploads' }).click();
    await dock.waitFor({ state: 'detached' });
  });

  test('uploads continue after a 401 that did not end the session', { tags: ['long'] }, async () => {
    let answers = 0;
    const { dock } = await uploading(({ path }) =>
      path.includes('get-upload-endpoint') && ++answers === 1 ? { status: 401, body: 'no' } : undefined,
    );
    await dock.getByText('3 files uploaded').waitFor();
    expect(answers).toBe(2);
  });

  test('a revoked token signs out and says why, and uploads continue after the next sign-in', async () => {
    const isRefused: Rule = ({ method, path }) => {
      if (method === 'PUT') return { resetAfterBytes: 1 };
      return /status|account/.test(path) ? rejection(401, 'This token was revoked.') : undefined;
    };
    const { page, dock } = await blockedByProxy();
    proxy.rule(isRefused);
    await proxy.goAway();
    await proxy.comeBack();
    await page.getByText('This token was revoked.').waitFor();
    await page.getByText('Sign in to continue your uploads, 0 of 3 files').first().waitFor();
    proxy.rule();
    await page.getByLabel('Token').fill(site.api.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await dock.getByText('3 files uploaded').waitFor();
  });

  test('a large clip is uploaded intact although the network fails in the middle', { tags: ['long'] }, async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'clip.mp4');
    await writeMovie(path, CLIP_BYTES);
    await writeFile(join(folder, 'clip.txt'), 'a train passes');
    const id = await site.api.newDataset();
    const { page } = await site.open(`/datasets/${id}`, { at: proxy });
    const puts = () => proxy.requests('PUT', '').filter(({ bytes }) => bytes > 1_000_000);
    await page.locator(FILES).setInputFiles([path, join(folder, 'clip.txt')]);
    await eventually(() => ((puts()[0]?.bytes ?? 0) > CLIP_BYTES / 3 ? true : undefined));
    await proxy.goAway();
    await dockOf(page).getByText('Waiting for the network').waitFor();
    await proxy.comeBack();
    await dockOf(page).getByText('2 files uploaded').waitFor();
    expect(puts()).toHaveLength(2);
    // It is decoded after its upload was answered.
    await expect.poll(async () => (await site.api.status(id)).body.status).toBe('READY');
    const { files } = (await site.api.manifest(id)).body;
    expect(files.find(({ filename }) => filename === 'clip.mp4')?.sha256).toBe(await sha256Of(path));
    await rm(folder, { recursive: true });
  });
});

/** Collects the PUTs that the page aborts. */
function abortedPuts(page: Page): string[] {
  const aborted: string[] = [];
  page.on('requestfailed', (request) => {
    if (request.method() === 'PUT' && request.failure()?.errorText === 'net::ERR_ABORTED') aborted.push(request.url());
  });
  return aborted;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}
