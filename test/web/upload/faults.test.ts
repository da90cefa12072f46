import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy, Fault, Rule } from '../../harness/proxy.js';
import { eventually } from '../../harness/server.js';
import { bytesOf, dockOf, FILES } from './drop-files.js';

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
});
