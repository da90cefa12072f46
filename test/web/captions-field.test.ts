import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { startBrowser, visit, whyNoBrowser } from '../harness/browser.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { tcpLinkTo } from '../harness/tcp-link.js';

const leftOut = whyNoBrowser();

describe.skipIf(leftOut !== undefined)(`a caption's field${leftOut ? `, left out: ${leftOut}` : ''}`, () => {
  let browser: Browser;
  let server: TestServer;
  let api: Api;
  beforeAll(async () => {
    [browser, server] = await Promise.all([startBrowser(), startServer({ 'caption-grace-seconds': 0 })]);
    api = await server.api();
  });
  afterAll(async () => {
    await browser?.close();
    await discardServer(server);
  });

  /** A dataset of images of these stems, each with its caption; `undefined` is none. */
  async function datasetOf(captions: Record<string, string | Buffer | undefined>): Promise<string> {
    const id = await api.newDataset();
    for (const [stem, text] of Object.entries(captions)) {
      await api.upload(id, `${stem}.jpg`, await media.jpeg());
      if (text !== undefined) await api.upload(id, `${stem}.txt`, text);
    }
    return id;
  }

  const open = (id: string, at: Pick<TestServer, 'url'> = server) =>
    visit(browser, at, { token: api.token, path: `/datasets/${id}/captions` });
  const fieldOf = (page: Page, filename: string) => page.getByLabel(`Caption of ${filename}`, { exact: true });
  const bytesOf = async (id: string, filename: string) =>
    Buffer.from(await (await api.raw('GET', `/${id}/files/${filename}`)).arrayBuffer()).toString();
  const uploadsOf = (page: Page) => {
    const uploads: string[] = [];
    page.on('request', (request) => request.url().endsWith('/upload') && uploads.push(request.url()));
    return uploads;
  };

  test('shows the text, and tells none from a blank one', async () => {
    const id = await datasetOf({ written: 'a wagon', blank: ' \n', missing: undefined });
    await api.upload(id, 'orphan.txt', 'of nothing');
    const { page, complaints } = await open(id);
    await expect.poll(() => fieldOf(page, 'written.jpg').inputValue()).toBe('a wagon');
    await expect.poll(() => fieldOf(page, 'orphan.txt').inputValue()).toBe('of nothing');
    await expect.poll(() => fieldOf(page, 'blank.jpg').getAttribute('placeholder')).toBe('Blank caption');
    await expect.poll(() => fieldOf(page, 'missing.jpg').getAttribute('placeholder')).toBe('No caption yet');
    expect(complaints).toEqual([]);
  });

  test('is saved when it is left, and by ctrl-Enter; Enter alone is a new line', async () => {
    const id = await datasetOf({ one: 'a wagon', two: undefined });
    const { page, complaints } = await open(id);
    await expect.poll(() => fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    await fieldOf(page, 'one.jpg').fill('a red wagon');
    await fieldOf(page, 'one.jpg').blur();
    await page.getByText('Saved', { exact: true }).waitFor();
    expect(await bytesOf(id, 'one.txt')).toBe('a red wagon');
    await fieldOf(page, 'two.jpg').focus();
    await page.keyboard.type('first');
    await page.keyboard.press('Enter');
    await page.keyboard.type('second');
    await page.keyboard.press('Control+Enter');
    await eventually(async () => ((await bytesOf(id, 'two.txt')) === 'first\nsecond' ? true : undefined));
    expect(await fieldOf(page, 'two.jpg').evaluate((field) => field === document.activeElement)).toBe(true);
    expect(complaints).toEqual([]);
  });

  test('gets the saved text back by Escape, and nothing is sent', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    const uploads = uploadsOf(page);
    await expect.poll(() => fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    await fieldOf(page, 'one.jpg').fill('a mistake');
    await page.keyboard.press('Escape');
    expect(await fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    await fieldOf(page, 'one.jpg').blur();
    expect(uploads).toEqual([]);
    expect(await bytesOf(id, 'one.txt')).toBe('a wagon');
  });

  test('leaves line ends and byte order marks alone unless the text is changed', async () => {
    const id = await datasetOf({ crlf: 'one\r\ntwo\r\n', bom: media.captionBytes('a wagon', 'utf8-bom') });
    const { page } = await open(id);
    const uploads = uploadsOf(page);
    for (const [name, text] of [
      ['crlf.jpg', 'one\ntwo\n'],
      ['bom.jpg', 'a wagon'],
    ] as const) {
      await expect.poll(() => fieldOf(page, name).inputValue()).toBe(text);
      await fieldOf(page, name).focus();
      await fieldOf(page, name).blur();
    }
    expect(uploads).toEqual([]);
    await fieldOf(page, 'crlf.jpg').fill('one\ntwo\nthree');
    await fieldOf(page, 'crlf.jpg').blur();
    await page.getByText('Saved', { exact: true }).waitFor();
    expect(await bytesOf(id, 'crlf.txt')).toBe('one\r\ntwo\r\nthree');
    expect(await bytesOf(id, 'bom.txt')).toBe('\ufeffa wagon');
  });

  test('is text, whatever it looks like', async () => {
    const text = '<img src=x onerror="document.title=1"><b>bold</b>';
    const id = await datasetOf({ html: text });
    const { page, complaints } = await open(id);
    await expect.poll(() => fieldOf(page, 'html.jpg').inputValue()).toBe(text);
    expect(await page.locator('main b, main img[src=x]').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test('keeps what could not be saved, says why, and is saved once the service is back', async () => {
    const line = await tcpLinkTo(server.url);
    const id = await datasetOf({ one: 'a wagon', two: 'a signal' });
    const { page } = await open(id, line);
    await expect.poll(() => fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    await line.goAway();
    await fieldOf(page, 'one.jpg').fill('typed on a train');
    await fieldOf(page, 'one.jpg').blur();
    await page.getByRole('alert').getByText('Not saved').waitFor();
    expect(await fieldOf(page, 'one.jpg').inputValue()).toBe('typed on a train');
    expect(await bytesOf(id, 'one.txt')).toBe('a wagon');
    await line.mend();
    await page.getByRole('button', { name: 'Try again' }).click();
    await eventually(async () => ((await bytesOf(id, 'one.txt')) === 'typed on a train' ? true : undefined));
    await line.goAway();
    await fieldOf(page, 'two.jpg').fill('saved by itself');
    await fieldOf(page, 'two.jpg').blur();
    await page.getByRole('alert').getByText('Not saved').waitFor();
    await line.mend();
    await page.evaluate(() => dispatchEvent(new Event('online')));
    await eventually(async () => ((await bytesOf(id, 'two.txt')) === 'saved by itself' ? true : undefined));
    await page.getByRole('alert').getByText('Not saved').waitFor({ state: 'detached' });
  });

  test('warns of leaving the page while anything is unsaved, and only then', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    const dialogs: string[] = [];
    page.on('dialog', (dialog) => {
      dialogs.push(dialog.type());
      void dialog.dismiss();
    });
    await expect.poll(() => fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    await fieldOf(page, 'one.jpg').click();
    await page.keyboard.type('!');
    await page.goto('about:blank').catch(() => {});
    expect(dialogs).toEqual(['beforeunload']);
    await fieldOf(page, 'one.jpg').blur();
    await page.getByText('Saved', { exact: true }).waitFor();
    await page.goto('about:blank');
    expect(dialogs).toEqual(['beforeunload']);
  });

  test('asks whose text is to stay where somebody else has saved another', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal', three: 'a gate' });
    const { page, complaints } = await open(id);
    await expect.poll(() => fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    await expect.poll(() => fieldOf(page, 'two.jpg').inputValue()).toBe('a signal');
    await expect.poll(() => fieldOf(page, 'three.jpg').inputValue()).toBe('a gate');
    // Nobody is asked where nothing was typed.
    await api.upload(id, 'three.txt', 'an open gate');
    await expect.poll(() => fieldOf(page, 'three.jpg').inputValue()).toBe('an open gate');
    await fieldOf(page, 'one.jpg').fill('mine');
    await api.upload(id, 'one.txt', 'theirs');
    await page.getByText('Changed elsewhere').waitFor();
    await page.locator('q').getByText('theirs', { exact: true }).waitFor();
    await fieldOf(page, 'one.jpg').blur();
    expect(await bytesOf(id, 'one.txt')).toBe('theirs');
    await page.getByRole('button', { name: 'Keep mine' }).click();
    await eventually(async () => ((await bytesOf(id, 'one.txt')) === 'mine' ? true : undefined));
    await page.getByText('Changed elsewhere').waitFor({ state: 'detached' });
    await fieldOf(page, 'two.jpg').fill('mine');
    await api.upload(id, 'two.txt', 'theirs, too');
    await page.getByRole('button', { name: 'Take theirs' }).click();
    expect(await fieldOf(page, 'two.jpg').inputValue()).toBe('theirs, too');
    expect(await bytesOf(id, 'two.txt')).toBe('theirs, too');
    expect(complaints).toEqual([]);
  });

  test('is not saved over a text that the page has not heard of yet', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    await expect.poll(() => fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    await page.route(/\/(events|status)/, (route) => route.abort());
    await api.upload(id, 'one.txt', 'theirs');
    await fieldOf(page, 'one.jpg').fill('mine');
    await fieldOf(page, 'one.jpg').blur();
    await page.getByText('Changed elsewhere').waitFor();
    expect(await fieldOf(page, 'one.jpg').inputValue()).toBe('mine');
    expect(await bytesOf(id, 'one.txt')).toBe('theirs');
  });

  test('saves once more what was typed during a save, in order', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    await expect.poll(() => fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    const bodies: string[] = [];
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route(/\/upload$/, async (route) => {
      bodies.push(/(first|second)/.exec(route.request().postData() ?? '')?.[0] ?? '');
      if (bodies.length === 1) await held;
      await route.continue();
    });
    await fieldOf(page, 'one.jpg').fill('first');
    await fieldOf(page, 'one.jpg').blur();
    await eventually(() => bodies[0]);
    await fieldOf(page, 'one.jpg').fill('second');
    await fieldOf(page, 'one.jpg').blur();
    expect(bodies).toEqual(['first']);
    release();
    await eventually(async () => ((await bytesOf(id, 'one.txt')) === 'second' ? true : undefined));
    expect(bodies).toEqual(['first', 'second']);
    expect(await fieldOf(page, 'one.jpg').inputValue()).toBe('second');
  });
});
