import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { tokensOf } from '../../../src/dataset/caption-tokens.js';
import { chordOf, KEY_TABLE, type KeyRow, keyNameOf, keyText, withKey } from '../../../web/keys.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, captionsOf, datasetWith, openDataset } from '../linked-datasets.js';
import { boxOf, cardOf, chooseMore, filterOf, focusedOf, namesOf, soon } from '../pairs/pairs-page.js';

describeInBrowser('the workbench', (site) => {
  const openWith = (captions: Parameters<typeof captionedImages>[0]) => openDataset(site, captionedImages(captions));

  test('shows the first card at once on windows of all sizes', async () => {
    const { id, page } = await openWith({ a: 'a wagon', b: undefined, c: undefined });
    for (const [width, height, least] of [
      [1440, 900, 112],
      [1024, 768, 112],
      [390, 844, 180],
    ] as const) {
      await page.setViewportSize({ width, height });
      await page.goto(`${site.server.url}/datasets/${id}`);
      const { y } = (await cardOf(page, 'a.jpg').boundingBox())!;
      expect([width, y <= least]).toEqual([width, true]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    }
  });

  test('shows pictures alone or beside their captions, sorts and finds them by keys, and is left by keys', async () => {
    const { id, page } = await openWith({ a: 'a long caption of a wagon', b: 'short', c: 'a caption' });
    const fields = page.getByRole('list', { name: 'Pairs' }).getByRole('textbox');
    const widthOf = async () => Math.round((await cardOf(page, 'a.jpg').boundingBox())!.width);
    await cardOf(page, 'a.jpg').waitFor();
    await page.keyboard.press('-');
    await soon(() => fields.count()).toBe(0);
    expect(await widthOf()).toBeLessThan(250);
    await page.keyboard.press('+');
    await page.keyboard.press('+');
    await soon(widthOf).toBeGreaterThan(600);
    await page.reload();
    await soon(() => fields.count()).toBe(3);
    await soon(widthOf).toBeGreaterThan(600);
    await page.keyboard.press('s');
    await soon(() => focusedOf(page)).toBe('Sort');
    await page.getByLabel('Sort').selectOption('Shortest captions first');
    await soon(() => namesOf(page)).toEqual(['b.jpg', 'c.jpg', 'a.jpg']);
    expect(new URL(page.url()).search).toBe('?sort=short');
    await page.getByLabel('Sort').blur();
    await page.keyboard.press('g');
    await page.keyboard.press('h');
    await page.waitForURL(new RegExp(`/datasets/${id}/history$`));
  });

  test('shows one pair in the inspector, and what can be done with several', async () => {
    const { page } = await openWith({ a: 'a wagon', b: ' ', c: 'a depot' });
    const inspector = page.getByRole('complementary', { name: 'Inspector' });
    await inspector.getByText('Choose a picture').waitFor();
    await cardOf(page, 'b.jpg').waitFor();
    await page.keyboard.press('ArrowRight');
    await inspector.getByRole('heading', { name: 'b.jpg' }).waitFor();
    await inspector.getByText('SHA-256').waitFor();
    await inspector.getByText('b.txt is blank').first().waitFor();
    await inspector.getByText('b.jpg added').waitFor();
    await inspector.getByLabel('Caption', { exact: true }).fill('a signal');
    await cardOf(page, 'b.jpg').getByText('a signal').waitFor();
    await page.getByLabel('Select a.jpg').check();
    await page.getByLabel('Select c.jpg').check();
    await inspector.getByText('2 pairs').waitFor();
    await inspector.getByLabel('Trigger word').fill('sks');
    await inspector.getByText('2 changes to captions of 2 selected pairs.').waitFor();
  });
});

describeInBrowser('captions that are written one after another', (site) => {
  /** Three images without a caption between two that have one. */
  function open(path = '') {
    const captions = { a: 'a wagon\n', b: undefined, c: undefined, d: undefined, e: 'a depot' };
    return openDataset(site, captionedImages(captions), path, { width: 1440 });
  }

  /** What is typed goes to the field that has the caret. */
  async function expectCaret(page: Page, label: string, text: string): Promise<void> {
    await soon(() => focusedOf(page)).toBe(label);
    await soon(() =>
      page.evaluate(() => {
        const field = document.activeElement as HTMLTextAreaElement;
        return [field.value, field.selectionStart];
      }),
    ).toEqual([text, text.length]);
  }

  test('keep their places and the caret in a filter, and say how many are written', async () => {
    const { id, page } = await open('?filter=missing');
    await page.getByText('0 of 3 written').waitFor();
    await page.keyboard.press('e');
    await expectCaret(page, 'Caption of b.jpg', '');
    await page.keyboard.type('a signal');
    await page.keyboard.press('Control+Enter');
    await expectCaret(page, 'Caption of c.jpg', '');
    await page.getByText('1 of 3 written').waitFor();
    // Empty: goes on, and writes nothing.
    await page.keyboard.press('Control+Enter');
    await expectCaret(page, 'Caption of d.jpg', '');
    await page.keyboard.type('a bridge');
    await page.keyboard.press('Tab');
    await page.getByText('2 of 3 written').waitFor();
    expect(await namesOf(page)).toEqual(['b.jpg', 'c.jpg', 'd.jpg']);
    await cardOf(page, 'b.jpg').getByRole('img', { name: 'Done' }).waitFor();
    const texts = { 'a.txt': 'a wagon\n', 'b.txt': 'a signal', 'd.txt': 'a bridge', 'e.txt': 'a depot' };
    await soon(() => captionsOf(site.api, id)).toEqual(texts);
    await filterOf(page, 'No caption 1').click();
    await soon(() => namesOf(page)).toEqual(['c.jpg']);
    await soon(() => page.getByRole('dialog').count()).toBe(0);
  });

  test('are reached forwards, backwards and by the next that is missing, and left by Escape', async () => {
    const { id, page } = await open();
    await cardOf(page, 'a.jpg').waitFor();
    await page.keyboard.press('e');
    // The line end that ends the file is no line to write in, and stays.
    await expectCaret(page, 'Caption of a.jpg', 'a wagon');
    await page.keyboard.type(' at dusk');
    await page.keyboard.press('Control+j');
    await expectCaret(page, 'Caption of b.jpg', '');
    await soon(() => site.api.text(id, 'a.txt')).toBe('a wagon at dusk\n');
    await page.keyboard.type('a signal');
    await page.keyboard.press('Shift+Tab');
    await expectCaret(page, 'Caption of a.jpg', 'a wagon at dusk');
    await page.keyboard.press('Control+j');
    await expectCaret(page, 'Caption of c.jpg', '');
    await page.keyboard.press('Control+Shift+Enter');
    await expectCaret(page, 'Caption of b.jpg', 'a signal');
    await page.keyboard.type(', a mistake');
    await page.keyboard.press('Escape');
    await soon(() => page.getByLabel('Caption of b.jpg').inputValue()).toBe('a signal');
    await page.keyboard.press('Escape');
    await soon(() => focusedOf(page)).toBe('Open b.jpg');

    // The same keys write in the inspector, beside pictures alone.
    await page.keyboard.press('-');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('e');
    await expectCaret(page, 'Caption', '');
    await page.keyboard.type('a bridge');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('complementary', { name: 'Inspector' }).getByRole('heading', { name: 'd.jpg' }).waitFor();
    await expectCaret(page, 'Caption', '');
    await soon(() => site.api.text(id, 'c.txt')).toBe('a bridge');
  });

  test('are completed with the tags of the dataset, the most frequent first', async () => {
    const captions = { a: 'snow, red wagon', b: 'snowfall', c: 'night, snow', d: undefined, e: undefined };
    const { id, page } = await openDataset(site, captionedImages(captions), '?filter=missing');
    await page.getByRole('list', { name: 'Tags' }).getByText('snowfall').waitFor();
    await page.getByText('0 of 2 written').waitFor();
    await page.keyboard.press('e');
    await expectCaret(page, 'Caption of d.jpg', '');
    await page.keyboard.type('dusk, no');
    const offered = page.getByRole('option').filter({ hasText: /snow/ });
    await soon(() => offered.allTextContents()).toEqual(['snow', 'snowfall']);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    await expectCaret(page, 'Caption of d.jpg', 'dusk, snow');
    await soon(() => offered.count()).toBe(0);
    await page.keyboard.type(', wa');
    await page.getByRole('option', { name: 'red wagon' }).waitFor();
    await page.keyboard.press('Escape');
    await expectCaret(page, 'Caption of d.jpg', 'dusk, snow, wa');
    await page.keyboard.type('g');
    await page.getByRole('option', { name: 'red wagon' }).click();
    await expectCaret(page, 'Caption of d.jpg', 'dusk, snow, red wagon');
    // Tab stays the way on.
    await page.keyboard.type(', ni');
    await page.getByRole('option', { name: 'night' }).waitFor();
    await page.keyboard.press('Tab');
    await expectCaret(page, 'Caption of e.jpg', '');
    await soon(() => site.api.text(id, 'd.txt')).toBe('dusk, snow, red wagon, ni');
  });
});

const palette = (page: Page) => page.getByRole('dialog', { name: 'Go to, or do' });
const chosen = (page: Page) => palette(page).getByRole('option', { selected: true });

describeInBrowser('the palette', (site) => {
  test('goes to datasets, tags, files and pages by name, with the keyboard alone', async () => {
    const { api, open } = await site.newAccount();
    const id = await datasetWith(api, await captionedImages({ a: 'snow, red wagon', b: 'rain' }), { name: 'evening' });
    await datasetWith(api, await captionedImages({ c: 'a depot' }), { name: 'morning' });
    const { page } = await open(`/datasets/${id}`);
    const goTo = async (text: string, label: string) => {
      await page.keyboard.press('Control+k');
      await palette(page).getByRole('combobox').fill(text);
      await soon(() => chosen(page).textContent()).toContain(label);
      await page.keyboard.press('Enter');
      await palette(page).waitFor({ state: 'detached' });
    };
    await cardOf(page, 'a.jpg').waitFor();
    await goTo('wagon red', 'red wagon');
    await soon(() => namesOf(page)).toEqual(['a.jpg']);
    await goTo('b.j', 'b.jpg');
    await page.waitForURL(/[?]file=b\.jpg$/);
    await goTo('morn', 'morning');
    await cardOf(page, 'c.jpg').waitFor();
    await goTo('go to the his', 'Go to the history');
    await page.waitForURL(/\/history$/);
    await soon(() => page.title()).toBe('morning · History · trainyard');
    await goTo('guide: settings', 'Guide: Settings');
    await page.waitForURL(/\/guide\/configuration$/);
  });

  test('offers what can be done here and now, and does it', async () => {
    const phone = { width: 390, height: 844 };
    const { page } = await openDataset(site, captionedImages({ a: 'snow', b: 'rain' }), '', phone);
    const offered = (name: string) => palette(page).getByRole('option', { name }).count();
    await cardOf(page, 'a.jpg').waitFor();
    await chooseMore(page, 'Go to, or do …');
    await palette(page).waitFor();
    expect(await offered('Compare 2 to 4')).toBe(0);
    await palette(page).getByRole('option', { name: 'Write the caption' }).click();
    await soon(() => focusedOf(page)).toBe('Caption of a.jpg');
    for (const name of ['a.jpg', 'b.jpg']) await boxOf(page, name).check();
    await chooseMore(page, 'Go to, or do …');
    expect(await offered('Compare 2 to 4')).toBe(1);
    await palette(page).getByRole('combobox').fill('tag');
    await palette(page).getByRole('option', { name: 'Add a tag to the selected pairs' }).click();
    await page.getByRole('dialog', { name: 'Add a tag to 2 pairs' }).waitFor();
  });
});

const NO_MODIFIERS = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

test.each([
  [{ key: 'Enter', ctrlKey: true, shiftKey: true }, 'Ctrl+Shift+Enter'],
  [{ key: 'j', metaKey: true }, 'Ctrl+J'],
  [{ key: ' ' }, 'Space'],
  [{ key: ' ', shiftKey: true }, 'Shift+Space'],
  // A German keyboard needs the shift key for both, an American one for the first alone.
  [{ key: '?', shiftKey: true }, '?'],
  [{ key: '/', shiftKey: true }, '/'],
  [{ key: 'e', altKey: true }, 'Alt+E'],
])('the key press %o is written as %s', (press, chord) => {
  expect(chordOf({ ...NO_MODIFIERS, ...press })).toBe(chord);
});

test('a key does one thing in each place', () => {
  const rows: readonly KeyRow[] = Object.values(KEY_TABLE);
  const bound = rows.flatMap(({ place, keys }) => keys.map((key) => `${place}: ${key}`));
  expect(bound.filter((key, index) => bound.indexOf(key) !== index)).toEqual([]);
});

test('a key after another one can have a meaning of its own', () => {
  const press = { ...NO_MODIFIERS, key: 'f' };
  expect([keyNameOf(press, 'page', 'G'), keyNameOf(press, 'page', 'H'), keyNameOf(press, 'page')]).toEqual([
    'fitness',
    undefined,
    undefined,
  ]);
  expect(keyNameOf({ ...NO_MODIFIERS, key: 'S' }, 'page', 'G')).toBe('sort');
});

test('keys are written for a person', () => {
  expect(['G F', 'Ctrl+Enter', '+', 'Escape'].map(keyText)).toEqual(['G then F', 'Ctrl+Enter', '+', 'Esc']);
  expect(withKey('History', 'history')).toBe('History (G then H)');
});

test.each([
  ['', 0],
  ['a red wagon, at dusk', 6],
  ['猫と犬', 3],
  ['photosynthesis', 2],
])('about as many tokens are counted as an encoder reads: %s', (text, tokens) => {
  expect(tokensOf(text)).toBe(tokens);
});
