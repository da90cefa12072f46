import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, type OpenOptions } from '../../harness/describe-in-browser.js';
import { Gate } from '../../harness/gate.js';
import { tcpLinkTo } from '../../harness/tcp-link.js';
import { captionedImages, datasetWith, openDataset } from '../linked-datasets.js';
import { captionOf, cardOf, focusedOf, onSave, SAVES, soon } from '../pairs/pairs-page.js';

describeInBrowser("a caption's field", (site) => {
  /** The workbench with images of these stems, each with its caption unless that is `undefined`. */
  const openWith = (captions: Parameters<typeof captionedImages>[0], options?: OpenOptions) =>
    openDataset(site, captionedImages(captions), '', options);

  const shows = (page: Page, filename: string, text: string) =>
    soon(() => captionOf(page, filename).inputValue()).toBe(text);
  const stores = (id: string, filename: string, text: string) => soon(() => site.api.text(id, filename)).toBe(text);
  const type = async (page: Page, filename: string, text: string) => {
    await captionOf(page, filename).fill(text);
    await captionOf(page, filename).blur();
  };

  test('is saved on blur and by Ctrl+Enter, reset by Escape, and keeps what was not changed', async () => {
    const { id, page } = await openWith({
      one: 'a wagon',
      two: undefined,
      crlf: 'one\r\ntwo\r\n',
      bom: media.captionBytes('a wagon', 'utf8-bom'),
      rtl: 'קרון אדום',
      long: 'x'.repeat(64 * 1024 + 1),
    });
    let saves = 0;
    await onSave(page, async (route, count) => {
      saves = count;
      if (count === 1) await type(page, 'one.jpg', 'a red wagon');
      return route.continue();
    });
    // A field would not show it whole, and replace it.
    await cardOf(page, 'long.jpg').getByText('Too long to edit here').waitFor();
    expect(await captionOf(page, 'long.jpg').count()).toBe(0);
    for (const [name, text] of [
      ['one.jpg', 'a wagon'],
      ['crlf.jpg', 'one\ntwo'],
      ['bom.jpg', 'a wagon'],
      ['rtl.jpg', 'קרון אדום'],
    ] as const) {
      await shows(page, name, text);
      await captionOf(page, name).focus();
      await captionOf(page, name).blur();
    }
    expect(await captionOf(page, 'rtl.jpg').evaluate((field) => field.matches(':dir(rtl)'))).toBe(true);
    await captionOf(page, 'one.jpg').fill('a mistake');
    // The Escape of an input method that composes characters is its own.
    await captionOf(page, 'one.jpg').dispatchEvent('keydown', { key: 'Escape', isComposing: true });
    expect(await captionOf(page, 'one.jpg').inputValue()).toBe('a mistake');
    await page.keyboard.press('Escape');
    await shows(page, 'one.jpg', 'a wagon');
    await captionOf(page, 'one.jpg').blur();
    expect(saves).toBe(0);

    await type(page, 'one.jpg', 'a red');
    await stores(id, 'one.txt', 'a red wagon');
    await captionOf(page, 'two.jpg').focus();
    await page.keyboard.type('first');
    await page.keyboard.press('Enter');
    await page.keyboard.type('second');
    await page.keyboard.press('Control+Enter');
    await stores(id, 'two.txt', 'first\nsecond');
    // The last one: there is none to go to.
    expect(await captionOf(page, 'two.jpg').evaluate((field) => field === document.activeElement)).toBe(true);
    await type(page, 'crlf.jpg', 'one\ntwo\nthree');
    await stores(id, 'crlf.txt', 'one\r\ntwo\r\nthree\r\n');
    expect(await site.api.text(id, 'bom.txt')).toBe('\ufeffa wagon');

    // In the grid, its keys are no shortcuts.
    await captionOf(page, 'one.jpg').focus();
    await page.keyboard.press('End');
    await page.keyboard.type(' x');
    for (const key of ['Delete', 'ArrowRight', 'Home', 'Control+a', 'Enter', 'Escape']) await page.keyboard.press(key);
    expect(await captionOf(page, 'one.jpg').evaluate((field) => field === document.activeElement)).toBe(true);
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('a red wagon');
    await soon(() => page.getByRole('dialog').count()).toBe(0);
    await soon(() => page.getByRole('checkbox', { checked: true }).count()).toBe(0);
  });

  test('shows a caption with commas as chips, which remove and edit its tags, or as text', async () => {
    const { id, page } = await openWith({
      one: 'red wagon, snow, dusk\n',
      two: 'A wagon stands in the snow, and waits for a train.',
    });
    const chips = (name: string) => cardOf(page, name).getByRole('button', { name: /^Remove the tag/ });
    await soon(() => chips('one.jpg').count()).toBe(3);
    await cardOf(page, 'one.jpg').getByRole('button', { name: 'Remove the tag snow' }).click();
    await stores(id, 'one.txt', 'red wagon, dusk\n');
    await cardOf(page, 'one.jpg').getByText('dusk', { exact: true }).click();
    await page.keyboard.type('dawn');
    await page.keyboard.press('Control+Enter');
    await stores(id, 'one.txt', 'red wagon, dawn\n');
    await shows(page, 'two.jpg', 'A wagon stands in the snow, and waits for a train.');
    expect([await chips('one.jpg').count(), await chips('two.jpg').count()]).toEqual([2, 0]);
    await page.getByRole('group', { name: 'Show tags as' }).getByText('Text').click();
    await soon(() => chips('one.jpg').count()).toBe(0);
    await page.reload();
    await shows(page, 'one.jpg', 'red wagon, dawn');
    await soon(() => chips('one.jpg').count()).toBe(0);
  });

  test('keeps a text that could not be saved, says why, and saves it once the service is back', async () => {
    const line = await tcpLinkTo(site.server.url);
    const { id, page } = await openWith({ one: 'a wagon', two: 'a signal', three: 'a bridge' }, { at: line });
    await shows(page, 'one.jpg', 'a wagon');
    await shows(page, 'two.jpg', 'a signal');
    await shows(page, 'three.jpg', 'a bridge');
    await line.goAway();
    await type(page, 'one.jpg', 'typed on a train');
    await page.getByRole('alert').getByText('Not saved').waitFor();
    await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('typed on a train');
    expect(await site.api.text(id, 'one.txt')).toBe('a wagon');
    await line.mend();
    // The page may have tried again by itself.
    const again = page.getByRole('button', { name: 'Try again', exact: true });
    await again.or(page.locator('body')).last().dispatchEvent('click');
    await stores(id, 'one.txt', 'typed on a train');
    await line.goAway();
    await type(page, 'two.jpg', 'typed after it');
    await type(page, 'three.jpg', 'mine');
    await page.getByRole('button', { name: '2 not saved' }).click();
    await soon(() => focusedOf(page)).toBe('Caption of two.jpg');
    await site.api.upload(id, 'three.txt', 'theirs');
    await line.mend();
    await page.evaluate(() => dispatchEvent(new Event('online')));
    await stores(id, 'two.txt', 'typed after it');
    await page.getByText('Changed elsewhere').waitFor();
    expect(await site.api.text(id, 'three.txt')).toBe('theirs');
    // A version that one has not seen is not replaced either.
    await onSave(page, async (route, count) => {
      if (count === 1) await site.api.upload(id, 'three.txt', 'theirs too');
      return route.continue();
    });
    await page.getByRole('button', { name: 'Keep mine' }).click();
    await page.locator('q').getByText('theirs too').waitFor();
    expect(await site.api.text(id, 'three.txt')).toBe('theirs too');
    await page.getByRole('button', { name: 'Keep mine' }).click();
    await stores(id, 'three.txt', 'mine');

    // The user leaves the view while the field has the focus.
    await line.goAway();
    await captionOf(page, 'one.jpg').fill('typed in a hurry');
    await page.evaluate(() => document.querySelector<HTMLElement>('a[href="/"]')?.click());
    const notice = page.getByRole('region', { name: 'Unsaved captions' });
    await notice.getByText('Could not reach the service').waitFor();
    await line.mend();
    await notice.getByRole('button', { name: 'Retry all' }).or(page.locator('body')).last().dispatchEvent('click');
    await stores(id, 'one.txt', 'typed in a hurry');
    await notice.waitFor({ state: 'detached' });
    await page.goBack();
    await shows(page, 'one.jpg', 'typed in a hurry');
  });

  test('warns before the page is left with unsaved text, and only then', async () => {
    const { page } = await openWith({ one: 'a wagon' });
    const dialogs: string[] = [];
    page.on('dialog', (dialog) => {
      dialogs.push(dialog.type());
      void dialog.dismiss();
    });
    await shows(page, 'one.jpg', 'a wagon');
    await captionOf(page, 'one.jpg').click();
    await page.keyboard.type('!');
    await page.goto('about:blank').catch(() => {});
    expect(dialogs).toEqual(['beforeunload']);
    await captionOf(page, 'one.jpg').blur();
    await page.getByText('Saved', { exact: true }).waitFor();
    await page.goto('about:blank');
    expect(dialogs).toEqual(['beforeunload']);
  });

  test('is kept through signing out, and saved after the next sign-in', async () => {
    const { id, page } = await openWith({ one: 'a wagon', two: 'a signal' });
    await shows(page, 'one.jpg', 'a wagon');
    const late = new Gate();
    await onSave(page, async (route, count) => {
      if (count > 1) return route.continue();
      await late.opened;
      await route.fulfill({ status: 401, json: { error_code: 401000, error_message: 'That session was ended.' } });
    });
    await type(page, 'two.jpg', 'answered late');
    await captionOf(page, 'one.jpg').fill('typed before');
    const { tokens } = (await site.api.request<{ tokens: { id: string; kind: string }[] }>('GET', '/tokens')).body;
    // Oldest first: the session of this page is the last.
    const session = tokens.filter(({ kind }) => kind === 'session').at(-1);
    await site.api.request('DELETE', `/tokens/${session?.id}`);
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    await page.getByText('Your session was ended').waitFor();
    await page.getByText('1 unsaved caption, kept in this tab. Sign in again').waitFor();
    await page.getByLabel('Token').fill(site.api.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await stores(id, 'one.txt', 'typed before');
    await page.getByText('Not saved.').waitFor({ state: 'detached' });
    await page.getByText('unsaved caption').waitFor({ state: 'detached' });
    // What the service says of the old session ends no new one.
    late.open();
    await page.getByText('Not saved. That session was ended.').waitFor();
    await page.getByRole('button', { name: 'Try again', exact: true }).click();
    await stores(id, 'two.txt', 'answered late');
  });

  test('is in question when it is taken back by Escape, and was stored by a save without an answer', async () => {
    const [saved, mistake] = ['a wagon\r\nat dusk\r\n', 'a mistake'];
    const id = await datasetWith(site.api, await captionedImages({ one: saved }));
    const { page } = await site.open();
    // It hears of no change.
    await page.route(/\/events/, (route) => route.abort());
    await page.goto(`${site.server.url}/datasets/${id}`);
    const field = captionOf(page, 'one.jpg');
    await soon(() => field.inputValue()).toBe('a wagon\nat dusk');
    await page.route(/\/status/, (route) => route.abort());
    await onSave(page, async (route, count) => {
      if (count === 1) await route.fetch();
      return route.abort('connectionreset');
    });
    await field.fill(mistake);
    await field.blur();
    await page.getByRole('alert').getByText('Not saved').waitFor();
    expect(await site.api.text(id, 'one.txt')).toBe(`${mistake}\r\n`);
    // While a save is tried again, Escape leaves the text that is sent.
    await soon(async () => {
      await field.press('Escape');
      return field.inputValue();
    }).toBe('a wagon\nat dusk');
    await page.locator('q').getByText(mistake, { exact: true }).waitFor();
    await page.unroute(SAVES);
    await page.getByRole('button', { name: 'Keep mine' }).click();
    await soon(() => site.api.text(id, 'one.txt')).toBe(saved);
  });

  /** Two browsers with the page of one dataset, which has the caption `a red wagon`. */
  async function openTwice() {
    const { id, page: first } = await openDataset(site, captionedImages({ one: 'a red wagon' }));
    const { page: second } = await site.open(`/datasets/${id}`);
    for (const page of [first, second]) await soon(() => captionOf(page, 'one.jpg').inputValue()).toBe('a red wagon');
    return { id, first, second };
  }

  test('shows two people both versions with their differences, to be merged in place', async () => {
    const { id, first, second } = await openTwice();
    await captionOf(second, 'one.jpg').fill('an old red wagon');
    await type(first, 'one.jpg', 'a red wagon at dusk');
    await second.getByText('Changed elsewhere').waitFor();
    await captionOf(second, 'one.jpg').blur();
    await second.getByRole('button', { name: 'Compare' }).click();
    const dialog = second.getByRole('dialog', { name: 'Two versions of one.txt' });
    const other = dialog.getByRole('region', { name: 'The other version' });
    await other.locator('ins').getByText('at dusk').waitFor();
    await other.locator('del').getByText('old').waitFor();
    const mine = dialog.getByLabel('Your text');
    await soon(() => mine.inputValue()).toBe('an old red wagon');
    expect(await site.api.text(id, 'one.txt')).toBe('a red wagon at dusk');
    await mine.fill('an old red wagon at dusk');
    await dialog.getByRole('button', { name: 'Save my text' }).click();
    await soon(() => captionOf(first, 'one.jpg').inputValue()).toBe('an old red wagon at dusk');
    expect(await site.api.text(id, 'one.txt')).toBe('an old red wagon at dusk');
  });

  test('keeps an unsaved text over a reload, and asks if it was made from an older text', async () => {
    const { id, first, second } = await openTwice();
    second.on('dialog', (dialog) => void dialog.accept());
    await onSave(second, (route) => route.abort());
    await type(second, 'one.jpg', 'mine');
    await second.getByRole('alert').getByText('Not saved').waitFor();
    await type(first, 'one.jpg', 'theirs');
    await soon(() => site.api.text(id, 'one.txt')).toBe('theirs');
    const other = await datasetWith(site.api, await captionedImages({ two: 'a depot' }));
    await second.goto(`${site.server.url}/datasets/${other}`);
    await second.getByRole('region', { name: 'Unsaved captions' }).waitFor();
    await soon(() => cardOf(second, 'two.jpg').count()).toBe(1);
    expect(await second.getByText('1 not saved').count()).toBe(0);
    await second.unroute(SAVES);
    await second.goBack();
    await second.getByText('Changed elsewhere').waitFor();
    await soon(() => captionOf(second, 'one.jpg').inputValue()).toBe('mine');
    expect(await site.api.text(id, 'one.txt')).toBe('theirs');
    await second.getByRole('button', { name: 'Take theirs' }).click();
    await soon(() => captionOf(second, 'one.jpg').inputValue()).toBe('theirs');
  });

  test('keeps a text whose pair another deletes and brings back, and saves it', async () => {
    const { id, first, second } = await openTwice();
    await captionOf(second, 'one.jpg').fill('hours of work');
    await cardOf(first, 'one.jpg').getByRole('checkbox').check();
    await first.getByRole('button', { name: 'Delete', exact: true }).click();
    await first.getByRole('button', { name: 'Delete 2 files' }).click();
    const notice = second.getByRole('region', { name: 'Unsaved captions' });
    await notice.getByText('Changed or deleted elsewhere.').waitFor();
    await first.getByRole('region', { name: 'Last change' }).getByRole('button', { name: 'Undo' }).click();
    await soon(() => captionOf(first, 'one.jpg').inputValue()).toBe('hours of work');
    await notice.waitFor({ state: 'detached' });
    expect(await site.api.text(id, 'one.txt')).toBe('hours of work');
  });
});
