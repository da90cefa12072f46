import type { Page, Request } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, type OpenOptions } from '../../harness/describe-in-browser.js';
import { eventually } from '../../harness/server.js';
import { tcpLinkTo } from '../../harness/tcp-link.js';

describeInBrowser("a caption's field", (site) => {
  /** A dataset of images of these stems, each with its caption unless that is `undefined`. */
  async function datasetOf(captions: Record<string, string | Buffer | undefined>): Promise<string> {
    const id = await site.api.newDataset();
    for (const [stem, text] of Object.entries(captions)) {
      await site.api.upload(id, `${stem}.jpg`, await media.jpeg());
      if (text !== undefined) await site.api.upload(id, `${stem}.txt`, text);
    }
    return id;
  }

  const open = (id: string, options?: OpenOptions) => site.open(`/datasets/${id}/captions`, options);
  const fieldOf = (page: Page, filename: string) => page.getByLabel(`Caption of ${filename}`, { exact: true });
  const shows = (page: Page, filename: string, text: string) =>
    expect.poll(() => fieldOf(page, filename).inputValue()).toBe(text);
  const bytesOf = async (id: string, filename: string) =>
    Buffer.from(await (await site.api.raw('GET', `/${id}/files/${filename}`)).arrayBuffer()).toString();
  const isSave = (request: Request) => request.method() === 'PUT' && request.url().endsWith('/captions');
  const uploadsOf = (page: Page) => {
    const uploads: string[] = [];
    page.on('request', (request) => isSave(request) && uploads.push(request.url()));
    return uploads;
  };

  test('shows the text, and distinguishes a missing caption from a blank one', async () => {
    const id = await datasetOf({ written: 'a wagon', blank: ' \n', missing: undefined });
    await site.api.upload(id, 'orphan.txt', 'without an image');
    const { page, browserErrors } = await open(id);
    await shows(page, 'written.jpg', 'a wagon');
    await shows(page, 'orphan.txt', 'without an image');
    await expect.poll(() => fieldOf(page, 'blank.jpg').getAttribute('placeholder')).toBe('Blank caption');
    await expect.poll(() => fieldOf(page, 'missing.jpg').getAttribute('placeholder')).toBe('No caption yet');
    expect(browserErrors).toEqual([]);
  });

  test('runs from right to left where its text does', async () => {
    const { page } = await open(await datasetOf({ arabic: 'قطار أحمر, عربة', english: 'a wagon' }));
    await shows(page, 'arabic.jpg', 'قطار أحمر, عربة');
    const isRightToLeft = (name: string) => fieldOf(page, name).evaluate((field) => field.matches(':dir(rtl)'));
    expect([await isRightToLeft('arabic.jpg'), await isRightToLeft('english.jpg')]).toEqual([true, false]);
  });

  test('is saved on blur and by Ctrl+Enter; Enter alone inserts a line break', async () => {
    const id = await datasetOf({ one: 'a wagon', two: undefined });
    const { page, browserErrors } = await open(id);
    await shows(page, 'one.jpg', 'a wagon');
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
    expect(browserErrors).toEqual([]);
  });

  test('is reset by Escape, without a request', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    const uploads = uploadsOf(page);
    await shows(page, 'one.jpg', 'a wagon');
    await fieldOf(page, 'one.jpg').fill('a mistake');
    await page.keyboard.press('Escape');
    expect(await fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    await fieldOf(page, 'one.jpg').blur();
    expect(uploads).toEqual([]);
    expect(await bytesOf(id, 'one.txt')).toBe('a wagon');
  });

  test('keeps line ends and byte order marks unless the text is changed', async () => {
    const id = await datasetOf({ crlf: 'one\r\ntwo\r\n', bom: media.captionBytes('a wagon', 'utf8-bom') });
    const { page } = await open(id);
    const uploads = uploadsOf(page);
    for (const [name, text] of [
      ['crlf.jpg', 'one\ntwo\n'],
      ['bom.jpg', 'a wagon'],
    ] as const) {
      await shows(page, name, text);
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

  test('shows HTML as plain text', async () => {
    const text = '<img src=x onerror="document.title=1"><b>bold</b>';
    const id = await datasetOf({ html: text });
    const { page, browserErrors } = await open(id);
    await shows(page, 'html.jpg', text);
    expect(await page.locator('main b, main img[src=x]').count()).toBe(0);
    expect(browserErrors).toEqual([]);
  });

  test('keeps a text that could not be saved, says why, and saves it once the service is back', async () => {
    const line = await tcpLinkTo(site.server.url);
    const id = await datasetOf({ one: 'a wagon', two: 'a signal' });
    const { page } = await open(id, { at: line });
    await shows(page, 'one.jpg', 'a wagon');
    await line.goAway();
    await fieldOf(page, 'one.jpg').fill('typed on a train');
    await fieldOf(page, 'one.jpg').blur();
    await page.getByRole('alert').getByText('Not saved').waitFor();
    expect(await fieldOf(page, 'one.jpg').inputValue()).toBe('typed on a train');
    expect(await bytesOf(id, 'one.txt')).toBe('a wagon');
    await line.mend();
    await page.getByRole('button', { name: 'Try again', exact: true }).click();
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

  test('warns before the page is left with unsaved text, and only then', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    const dialogs: string[] = [];
    page.on('dialog', (dialog) => {
      dialogs.push(dialog.type());
      void dialog.dismiss();
    });
    await shows(page, 'one.jpg', 'a wagon');
    await fieldOf(page, 'one.jpg').click();
    await page.keyboard.type('!');
    await page.goto('about:blank').catch(() => {});
    expect(dialogs).toEqual(['beforeunload']);
    await fieldOf(page, 'one.jpg').blur();
    await page.getByText('Saved', { exact: true }).waitFor();
    await page.goto('about:blank');
    expect(dialogs).toEqual(['beforeunload']);
  });

  test('asks which version to keep after a conflicting change', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal', three: 'a gate' });
    const { page, browserErrors } = await open(id);
    await shows(page, 'one.jpg', 'a wagon');
    await shows(page, 'two.jpg', 'a signal');
    await shows(page, 'three.jpg', 'a gate');
    // Without a draft, a change is no conflict.
    await site.api.upload(id, 'three.txt', 'an open gate');
    await shows(page, 'three.jpg', 'an open gate');
    await fieldOf(page, 'one.jpg').fill('mine');
    await site.api.upload(id, 'one.txt', 'theirs');
    await page.getByText('Changed elsewhere').waitFor();
    await page.locator('q').getByText('theirs', { exact: true }).waitFor();
    await fieldOf(page, 'one.jpg').blur();
    expect(await bytesOf(id, 'one.txt')).toBe('theirs');
    await page.getByRole('button', { name: 'Keep mine' }).click();
    await eventually(async () => ((await bytesOf(id, 'one.txt')) === 'mine' ? true : undefined));
    await page.getByText('Changed elsewhere').waitFor({ state: 'detached' });
    await fieldOf(page, 'two.jpg').fill('mine');
    await site.api.upload(id, 'two.txt', 'theirs, too');
    await page.getByRole('button', { name: 'Take theirs' }).click();
    expect(await fieldOf(page, 'two.jpg').inputValue()).toBe('theirs, too');
    expect(await bytesOf(id, 'two.txt')).toBe('theirs, too');
    expect(browserErrors).toEqual([]);
  });

  test('does not overwrite a change that the page has not seen yet', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    await shows(page, 'one.jpg', 'a wagon');
    await page.route(/\/(events|status)/, (route) => route.abort());
    // Begun before, since an open stream of events still tells the change.
    await fieldOf(page, 'one.jpg').fill('mine');
    await site.api.upload(id, 'one.txt', 'theirs');
    await fieldOf(page, 'one.jpg').blur();
    await page.getByText('Changed elsewhere').waitFor();
    expect(await fieldOf(page, 'one.jpg').inputValue()).toBe('mine');
    expect(await bytesOf(id, 'one.txt')).toBe('theirs');
  });

  test('saves text that was typed during a save afterwards', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    await shows(page, 'one.jpg', 'a wagon');
    const bodies: string[] = [];
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route(/\/captions$/, async (route) => {
      if (!isSave(route.request())) return route.continue();
      bodies.push(/(first|second)/.exec(route.request().postData() ?? '')?.[0] ?? '');
      if (bodies.length === 1) await released;
      return route.continue();
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

  test('is kept through signing out, and saved after the next sign-in', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id);
    await shows(page, 'one.jpg', 'a wagon');
    await fieldOf(page, 'one.jpg').fill('typed before');
    const { tokens } = (await site.api.request<{ tokens: { id: string; kind: string }[] }>('GET', '/tokens')).body;
    // Oldest first: the session of this page is the last.
    const session = tokens.filter(({ kind }) => kind === 'session').at(-1);
    await site.api.request('DELETE', `/tokens/${session?.id}`);
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    await page.getByText('Your session was ended').waitFor();
    await page.getByText('1 unsaved caption, kept in this tab. Sign in again').waitFor();
    await page.getByLabel('Token').fill(site.api.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await eventually(async () => ((await bytesOf(id, 'one.txt')) === 'typed before' ? true : undefined));
    await page.getByText('Not saved').waitFor({ state: 'detached' });
    await page.getByText('unsaved caption').waitFor({ state: 'detached' });
  });

  test('survives a visit to another page, which lists it while it is unsaved', async () => {
    const line = await tcpLinkTo(site.server.url);
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await open(id, { at: line });
    await shows(page, 'one.jpg', 'a wagon');
    await line.goAway();
    await fieldOf(page, 'one.jpg').fill('typed in a hurry');
    // The user leaves the page while the field has the focus.
    await page.evaluate(() => document.querySelector<HTMLElement>('a[href="/"]')?.click());
    const notice = page.getByRole('region', { name: 'Unsaved captions' });
    await notice.getByText('Could not reach the service').waitFor();
    await line.mend();
    await notice.getByRole('button', { name: 'Retry all' }).click();
    await eventually(async () => ((await bytesOf(id, 'one.txt')) === 'typed in a hurry' ? true : undefined));
    await notice.waitFor({ state: 'detached' });
    await page.goBack();
    await shows(page, 'one.jpg', 'typed in a hurry');
  });

  test('in the grid, typing and Escape do not trigger shortcuts', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal' });
    const { page, browserErrors } = await site.open(`/datasets/${id}`);
    await shows(page, 'one.jpg', 'a wagon');
    await fieldOf(page, 'one.jpg').focus();
    await page.keyboard.press('End');
    await page.keyboard.type(' x');
    for (const key of ['Delete', 'ArrowRight', 'Home', 'Control+a', 'Enter', 'Escape']) await page.keyboard.press(key);
    expect(await fieldOf(page, 'one.jpg').evaluate((field) => field === document.activeElement)).toBe(true);
    expect(await fieldOf(page, 'one.jpg').inputValue()).toBe('a wagon');
    expect(await page.getByRole('dialog').count()).toBe(0);
    expect(await page.getByRole('checkbox', { checked: true }).count()).toBe(0);
    expect(browserErrors).toEqual([]);
  });

  test('of more than 64 KiB is too long to edit, and can be downloaded', async () => {
    const id = await datasetOf({ one: 'x'.repeat(70_000) });
    const { page, browserErrors } = await open(id);
    await page.getByText('too long to edit here').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByText('Download one.txt').click()]);
    expect(download.suggestedFilename()).toBe('one.txt');
    expect(browserErrors).toEqual([]);
  });

  test('that could not be read says so, and can be read again', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const { page } = await site.open();
    let isBroken = true;
    await page.route(/\/captions$/, (route) =>
      isBroken ? route.fulfill({ status: 400, body: 'no' }) : route.continue(),
    );
    await page.goto(`${site.server.url}/datasets/${id}`);
    await page.getByText('Could not read the caption').waitFor();
    isBroken = false;
    await page.getByRole('button', { name: 'Try again' }).click();
    await shows(page, 'one.jpg', 'a wagon');
  });

  test('is read together with all visible ones, and only changed captions are read again', async () => {
    const id = await datasetOf(Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`n${i}`, `caption ${i}`])));
    const { page } = await site.open();
    const batchSizes: number[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith('/captions') && request.method() === 'POST') {
        batchSizes.push((request.postDataJSON() as { filenames: string[] }).filenames.length);
      }
    });
    await page.goto(`${site.server.url}/datasets/${id}`);
    await shows(page, 'n7.jpg', 'caption 7');
    expect(batchSizes).toEqual([8]);
    await site.api.upload(id, 'n3.txt', 'changed');
    await shows(page, 'n3.jpg', 'changed');
    expect(batchSizes).toEqual([8, 1]);
  });
});
