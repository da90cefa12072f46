import { readdir, readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Locator } from 'playwright-core';
import { expect, test } from 'vitest';
import { GUIDE_PAGES } from '../../web/guide/guide-pages.js';
import * as media from '../fixtures/media.js';
import { describeInBrowser } from '../harness/describe-in-browser.js';
import { Gate } from '../harness/gate.js';
import { revokeToken } from '../harness/server.js';
import { captionedImages, datasetWith, linkDatasets, openDataset } from './linked-datasets.js';
import { captionOf, chooseMore, soon } from './pairs/pairs-page.js';

describeInBrowser('the page', (site) => {
  test('signs in by a link, for reloads and other tabs too, and keeps no token where scripts can read it', async () => {
    await site.api.newDataset('by link');
    const { page, context } = await site.open();
    await page.getByText('by link').waitFor();
    expect(page.url()).toBe(`${site.server.url}/`);
    await page.reload();
    await page.getByText('by link').waitFor();
    const other = await context.newPage();
    await other.goto(site.server.url);
    await other.getByText('by link').waitFor();
    const readable = await page.evaluate(() =>
      JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]),
    );
    expect(readable).not.toMatch(/ty[sc]?_/);
    expect(await context.cookies()).toMatchObject([{ httpOnly: true, sameSite: 'Strict', secure: false }]);
    const status = () => other.evaluate(async () => (await fetch('/prod/v1/trainers/datasets')).status);
    expect(await status()).toBe(401);
    await other.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You signed out in another tab.').waitFor();
    await page.reload();
    await page.getByLabel('Token').waitFor();
    await expect.poll(() => page.getByRole('alert').count()).toBe(0);
  });

  test('signs in with the link of trainyard open, once, and says when a session was revoked', async () => {
    await site.api.newDataset('by code');
    const own = await site.server.api('coded');
    await own.newDataset('of the code');
    const { body } = await own.request<{ code: string; token_id: string }>('POST', '/session/codes');
    const link = `#code=${body.code}&token=${body.token_id}`;
    const { page } = await site.openSignedOut(`/${link}`);
    await page.getByText('of the code').waitFor();
    expect(page.url()).toBe(`${site.server.url}/`);
    // The same token: there is nothing to ask.
    await page.evaluate((hash) => location.assign(hash), link);
    await expect.poll(() => page.url()).toBe(`${site.server.url}/`);
    await page.getByRole('link', { name: 'of the code' }).click();
    await page.getByRole('heading', { name: 'of the code' }).waitFor();
    const late = await site.openSignedOut(`/${link}`);
    await late.page.getByText('The link was used already').waitFor();
    await revokeToken(site.server, own.token);
    await page.reload();
    await page.getByText('Your session was ended, or its token was revoked. Sign in again.').waitFor();
  });

  test('signs in with a pasted token, and explains that a token is unknown', async () => {
    const { page } = await site.openSignedOut();
    await page.getByLabel('Token').fill('ty_unknown');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('does not know this token').waitFor();
    await page.getByLabel('Token').fill(`  ${site.api.token}\n`);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Datasets' }).waitFor();
  });

  test('shows a token that only reads all views, and nothing that writes', async () => {
    const { api } = site;
    const files = {
      'a.jpg': await media.jpeg(),
      'b.gif': await media.gif(),
      'one.txt': 'a wagon',
      'c.jpg': 'no image',
    };
    const id = await datasetWith(api, files, { name: 'to look at' });
    const control = await datasetWith(api, {}, { name: 'its control', role: 'control' });
    await linkDatasets(api, id, { control_1: control });
    await api.upload(id, 'one.txt', 'a red wagon');
    await api.json('POST', `/${id}/shares`, { name: 'Ada' });
    await api.json('POST', '/webhooks', { url: 'https://queue.example/secret' });
    const { body } = await api.json<{ secret: string }>('POST', '/tokens', { read_only: true });
    const { page } = await site.open('/', { token: body.secret });
    const dialog = page.getByRole('dialog');
    await page.getByText('a token that only reads').waitFor();
    const disabled = async (names: readonly string[]) => {
      for (const name of names) {
        const button = page.getByRole('button', { name, exact: true }).first();
        await expect.poll(() => button.isDisabled(), { message: name }).toBe(true);
        expect([name, await button.getAttribute('title')]).toEqual([name, 'Your token only reads.']);
      }
    };
    await page.getByRole('link', { name: 'to look at' }).waitFor();
    await disabled(['New dataset', 'Upload a folder']);
    await page.getByRole('button', { name: 'More for to look at' }).click();
    await disabled(['Name and role', 'Delete']);
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'to look at' }).click();
    const caption = page.getByLabel('Caption of one.txt');
    await expect.poll(() => caption.inputValue()).toBe('a red wagon');
    expect(await caption.isEditable()).toBe(false);
    await page.getByLabel('Select one.txt').check();
    await page.getByText('Only reads', { exact: true }).waitFor();
    await disabled(['Delete']);
    for (const key of ['Delete', 't', 'r']) await page.keyboard.press(key);
    expect(await dialog.count()).toBe(0);
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await disabled(['Add files', 'Add a folder']);
    await page.getByRole('button', { name: 'More', exact: true }).click();
    await disabled(['Delete the dataset', 'Name and role']);
    await page.getByRole('button', { name: 'Open one.txt' }).click();
    await disabled(['Delete this pair']);
    await page.keyboard.press('Escape');
    await chooseMore(page, 'Share the dataset');
    await dialog.getByRole('list', { name: 'Links to this dataset' }).getByText('for Ada').waitFor();
    await dialog.getByText("It can't create or revoke links.").waitFor();
    await expect.poll(() => dialog.getByRole('button', { name: /Create|Revoke/ }).count()).toBe(0);

    await page.keyboard.press('Escape');
    const bulk = page.getByRole('region', { name: 'Change many captions' });
    await bulk.getByText('Your token only reads.').waitFor();
    await page.goto(`${site.server.url}/datasets/${id}/history?revision=1`);
    await page.getByRole('list', { name: 'Differences' }).waitFor();
    await expect.poll(() => page.getByRole('button', { name: /Undo|Restore|Pin/ }).count()).toBe(0);
    await page.goto(`${site.server.url}/datasets/${id}/fitness`);
    await page.getByRole('region', { name: 'Errors' }).getByText('a.jpg has no caption').waitFor();
    await page.getByRole('list', { name: 'Targets without a control' }).waitFor();
    await expect.poll(() => page.getByRole('button', { name: /Replace|Dismiss|Fill|Convert|Choose/ }).count()).toBe(0);
    await page.goto(`${site.server.url}/account`);
    await page.getByText('https://queue.example/…').first().waitFor();
    await disabled(['New webhook', 'Delete https://queue.example/…']);
  });

  test('asks before a link replaces a session, and stays signed in unless the user agrees', async () => {
    await site.api.newDataset('mine');
    const other = await site.server.api('other');
    await other.newDataset('theirs');
    const { page } = await site.open();
    await page.getByText('mine').waitFor();
    await page.evaluate((token) => location.assign(`#token=${token}`), other.token);
    const dialog = page.getByRole('dialog', { name: 'Sign in with another token?' });
    await dialog.getByText('account “other').waitFor();
    expect(page.url()).toBe(`${site.server.url}/`);
    await dialog.getByRole('button', { name: 'Stay signed in' }).click();
    await dialog.waitFor({ state: 'detached' });
    // A page that loads with the link asks too.
    await page.goto('about:blank');
    await page.goto(`${site.server.url}/#token=${other.token}`);
    await page.getByText('mine').waitFor();
    await dialog.getByRole('button', { name: 'Switch' }).click();
    await page.getByText('theirs').waitFor();
    await expect.poll(() => page.getByText('mine').count()).toBe(0);
  });

  test('answers a wrong link of a person with a page, and that of a program with an error', async () => {
    const { page } = await site.open('/nothing/here');
    await page.getByText('Page not found').first().waitFor();
    const opened = await fetch(`${site.server.url}/nothing/here`, { headers: { accept: 'text/html' } });
    expect([opened.status, opened.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8']);
    expect(opened.headers.get('content-security-policy')).toMatch(/script-src 'self';.* frame-ancestors 'none'/);
    const called = await fetch(`${site.server.url}/nothing/here`);
    expect([called.status, await called.json()]).toMatchObject([404, { error_code: expect.any(Number) }]);
  });

  test('shows the API documentation, which contacts no other host, and whose requests are signed in', {
    tags: ['long'],
  }, async () => {
    const { page, context } = await site.open();
    await page.getByRole('heading', { name: 'Datasets', exact: true }).waitFor();
    const foreign: string[] = [];
    context.on('request', (request) => {
      if (!request.url().startsWith(site.server.url) && !request.url().startsWith('blob:')) foreign.push(request.url());
    });
    await page.goto(`${site.server.url}/docs#tag/account/GET/prod/v1/trainers/datasets/account`);
    await page.getByRole('button', { name: 'Test Request (get /prod/v1/trainers/datasets/account)' }).click();
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.url().endsWith('/datasets/account')),
      page.getByRole('button', { name: /^Send get request/ }).click(),
    ]);
    expect(answer.status()).toBe(200);
    expect(foreign).toEqual([]);
  });

  test('is served with a policy that allows its own files only, revalidated, and its assets are cached for good', async () => {
    for (const path of ['/', '/datasets/anything', '/favicon.svg']) {
      const { headers, status } = await fetch(site.server.url + path);
      expect(status).toBe(200);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/unsafe|\*|data:/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    }
    const document = await fetch(site.server.url);
    expect(document.headers.get('cache-control')).toBe('no-cache');
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(await document.text())?.[1];
    const { headers } = await fetch(site.server.url + script, { headers: { 'accept-encoding': 'gzip' } });
    expect(headers.get('cache-control')).toContain('immutable');
    expect([headers.get('content-encoding'), headers.get('vary')]).toEqual(['gzip', 'accept-encoding']);
    expect((await fetch(`${site.server.url}/assets/nothing.js`)).status).toBe(404);
  });
});

const BUILT = fileURLToPath(new URL('../../dist/web/', import.meta.url));
const MAX_BYTES = 250_000;

test('the first load of the page needs less than 250 kB of compressed scripts', async () => {
  const named = (await readFile(`${BUILT}index.html`, 'utf8')).matchAll(/"\/(assets\/[^"]+\.js)"/g);
  const scripts = [...named].map(([, path]) => path!);
  const sizes = await Promise.all(scripts.map(async (path) => (await stat(`${BUILT}${path}.gz`)).size));
  expect(scripts.length).toBeGreaterThan(1);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_BYTES);
});

test('the guide lists each document of docs', async () => {
  const documents = (await readdir(new URL('../../docs/', import.meta.url))).filter((name) => name.endsWith('.md'));
  expect(GUIDE_PAGES.map(({ name }) => `${name}.md`).sort()).toEqual(documents.sort());
});

describeInBrowser('the guide', (site) => {
  test('opens beside what it explains, follows its own links, and closes by Escape', async () => {
    const id = await site.api.newDataset();
    const { page } = await site.open(`/datasets/${id}/history`);
    await page.getByRole('link', { name: 'What is kept, and how undo works' }).click();
    const guide = page.getByRole('complementary', { name: 'Guide' });
    await guide.getByRole('heading', { name: 'History and undo' }).waitFor();
    const box = (await guide.boundingBox())!;
    const tabs = (await page.getByRole('navigation', { name: 'Views of the dataset' }).boundingBox())!;
    expect(tabs.x + tabs.width).toBeLessThanOrEqual(box.x);
    await guide.locator('article a[href*="/guide/"]').first().click();
    await guide.getByRole('heading', { name: 'History and undo' }).waitFor({ state: 'detached' });
    expect(page.url()).toContain(`/datasets/${id}/history`);
    await page.keyboard.press('Escape');
    await guide.waitFor({ state: 'detached' });
  });

  test('is a place of its own, for a person who is signed out too', async () => {
    const { page } = await site.openSignedOut('/guide');
    await page.getByRole('heading', { name: 'Start', exact: true }).waitFor();
    await page.getByRole('link', { name: 'Controls and masks' }).click();
    await page.getByRole('heading', { name: 'Edit datasets: controls and masks' }).waitFor();
    await page.goto(`${site.server.url}/guide/page`);
    const pictures = page.locator('article img');
    await expect
      .poll(() => pictures.first().evaluate((each: HTMLImageElement) => each.naturalWidth))
      .toBeGreaterThan(0);
  });
});

describeInBrowser('the page behind a proxy, or another tab', (site) => {
  const newDataset = async () => datasetWith(site.api, await captionedImages({ one: 'before' }));

  test('that answers 404 for a moment shows the dataset after it', async () => {
    const id = await newDataset();
    const { page, context } = await site.open();
    const ofDataset = /\/(events|status)/;
    await page.clock.install();
    await page.route(ofDataset, (route) => route.fulfill({ status: 404, body: '404 page not found' }));
    await page.goto(`${site.server.url}/datasets/${id}`);
    await page.getByRole('alert').getByText('404 page not found').waitFor();
    await page.unroute(ofDataset);
    const shownLater = (shown: Locator) =>
      soon(async () => {
        await page.clock.fastForward(5000);
        return shown.count();
      }).toBe(1);
    await shownLater(captionOf(page, 'one.jpg'));
    await site.api.raw('DELETE', `/${id}`);
    await shownLater(page.getByText('This dataset does not exist'));
    await context.close();
  });

  test('that delays the events has the status read once, if nothing has changed', async () => {
    const id = await newDataset();
    const { page, context } = await site.open();
    const gate = new Gate();
    const reads: string[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith(`/${id}/status`)) reads.push(request.url());
    });
    await page.route(/\/events/, async (route) => {
      await gate.opened;
      await route.continue();
    });
    await page.goto(`${site.server.url}/datasets/${id}`);
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('before');
    // The first event has the runs read again, and must not have the status read.
    const runs = page.waitForResponse(/\/caption-runs/);
    gate.open();
    await runs;
    expect(reads).toHaveLength(1);
    await context.close();
  });

  test('that holds the events back shows changes nevertheless', async () => {
    const id = await newDataset();
    const { page, context } = await site.open();
    await page.clock.install();
    await page.route(/\/events/, () => {});
    await page.goto(`${site.server.url}/datasets/${id}`);
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('before');
    await site.api.upload(id, 'one.txt', 'after');
    await soon(async () => {
      await page.clock.fastForward(20_000);
      return captionOf(page, 'one.jpg').inputValue();
    }).toBe('after');
    await context.close();
  });

  test('that is hidden catches up once it is seen, and with what changes while it does', async () => {
    const { id, page, context } = await openDataset(site, captionedImages({ one: 'before' }));
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('before');
    const become = (state: string) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'visibilityState', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, state);
    const closed = page.waitForEvent('requestfailed');
    await become('hidden');
    await closed;
    await site.api.upload(id, 'one.txt', 'meanwhile');
    // The answer is older than an event that arrives before it.
    const devtools = await context.newCDPSession(page);
    await devtools.send('Network.enable');
    await page.route(
      /\/status/,
      async (route) => {
        const response = await route.fetch();
        const heard = new Promise((resolve) => devtools.once('Network.dataReceived', resolve));
        await site.api.json('PUT', `/${id}/captions`, { captions: [{ filename: 'one.txt', text: 'after' }] });
        await heard;
        await route.fulfill({ response });
      },
      { times: 1 },
    );
    await become('visible');
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('after');
    await context.close();
  });
});
