import type { Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { imagesOf } from '../../harness/folder.js';
import { datasetOfRole, datasetWith, linkDatasets, openDataset } from '../linked-datasets.js';
import { boxOf, cardOf, filterOf, focusedOf, isPainted, namesOf, pictureOf, soon } from './pairs-page.js';

const [WIDTH, HEIGHT] = [3000, 2000];

/** A large image, of one colour. */
const large = (background: string) =>
  sharp({ create: { width: WIDTH, height: HEIGHT, channels: 3, background } })
    .png()
    .toBuffer();

const viewerOf = (page: Page) => page.getByRole('dialog');
const headingOf = (page: Page, name: string) => viewerOf(page).getByRole('heading', { name, exact: true });
const queryOf = (page: Page) => new URL(page.url()).search;

/** Where the picture of a name is painted. */
async function placeOf(page: Page, name: string) {
  return (await viewerOf(page).getByAltText(name, { exact: true }).boundingBox())!;
}

/** The sizes that are shown, such as `100 %`. */
const sizesOf = (page: Page) =>
  viewerOf(page)
    .locator('span')
    .getByText(/^\d+ %$/)
    .allTextContents();

describeInBrowser('the viewer', (site) => {
  async function openWith(files: Record<string, Buffer | string>, query = '') {
    const own = await site.newAccount();
    return { api: own.api, ...(await openDataset(own, files, query)) };
  }

  test('has an address: a link, reload and Back work, and Back closes it', async () => {
    const image = await media.jpeg();
    const names = Array.from({ length: 20 }, (_, at) => `${String(at).padStart(2, '0')}.jpg`);
    const { api, id, page } = await openWith(Object.fromEntries(names.map((name) => [name, image])));
    await pictureOf(page, '01.jpg').click();
    await headingOf(page, '01.jpg').waitFor();
    expect(queryOf(page)).toBe('?view=01.jpg');
    await page.keyboard.press('ArrowRight');
    await headingOf(page, '02.jpg').waitFor();
    expect(queryOf(page)).toBe('?view=02.jpg');
    await page.reload();
    await headingOf(page, '02.jpg').waitFor();
    await page.getByRole('button', { name: 'Show 09.jpg' }).click();
    await headingOf(page, '09.jpg').waitFor();
    for (let at = 10; at < 18; at++) await page.keyboard.press('ArrowRight');
    await headingOf(page, '17.jpg').waitFor();
    await page.goBack();
    await viewerOf(page).waitFor({ state: 'detached' });
    expect(queryOf(page)).toBe('');
    await soon(() => focusedOf(page)).toBe('Open 17.jpg');
    await soon(async () => (await cardOf(page, '17.jpg').boundingBox())!.y).toBeLessThan(800);
    await page.goForward();
    await headingOf(page, '17.jpg').waitFor();

    // A link shows a pair that goes.
    await page.goto(`${site.server.url}/datasets/${id}?view=18.jpg`);
    await headingOf(page, '18.jpg').waitFor();
    for (const name of ['18.jpg', '19.jpg']) await api.raw('DELETE', `/${id}/files/${name}`);
    await headingOf(page, '17.jpg').waitFor();
    await soon(() => queryOf(page)).toBe('?view=17.jpg');
    await page.goto(`${site.server.url}/datasets/${id}?view=18.jpg`);
    await page.getByText('18.jpg is no longer in the dataset.').waitFor();

    // A name with an escape does not open the picture of the unescaped name.
    for (const name of ['0%20b.jpg', '0 b.jpg']) await api.upload(id, name, image);
    await pictureOf(page, '0%20b.jpg').click();
    await headingOf(page, '0%20b.jpg').waitFor();
  });

  test('and other views are left for a file, which is then in view', async () => {
    const { page } = await openWith(await imagesOf(30));
    const palette = page.getByRole('dialog', { name: 'Go to, or do' });
    const goTo = async (name: string) => {
      await page.keyboard.press('Control+k');
      await palette.getByRole('combobox').fill(name);
      await palette.getByRole('option', { name, selected: true }).waitFor();
      await page.keyboard.press('Enter');
      await soon(() => focusedOf(page)).toBe(`Open ${name}`);
      await soon(async () => Math.abs((await cardOf(page, name).boundingBox())!.y - 300)).toBeLessThan(300);
    };
    await pictureOf(page, '01.jpg').focus();
    await page.keyboard.press('End');
    await soon(() => focusedOf(page)).toBe('Open 30.jpg');
    for (const key of ['g', 'h']) await page.keyboard.press(key);
    await page.waitForURL(/\/history$/);
    await goTo('03.jpg');
    await page.keyboard.press('Enter');
    await headingOf(page, '03.jpg').waitFor();
    await goTo('28.jpg');
  });

  test('shows 100 % at the pointer, zooms with the wheel, pans, and keeps the size from pair to pair', async () => {
    const { page } = await openWith({ 'a.png': await large('#08f'), 'b.png': await large('#f80') }, '?view=a.png');
    await soon(async () => (await sizesOf(page))[0]).toMatch(/^[1-9]\d %$/);
    // The neighbour is loaded before it is shown.
    await page.waitForFunction(() =>
      performance.getEntriesByType('resource').some(({ name }) => name.includes('/files/b.png?')),
    );
    const fitted = await placeOf(page, 'a.png');
    const pointer = { x: fitted.x + fitted.width * 0.25, y: fitted.y + fitted.height * 0.4 };
    const underPointer = async () => {
      const { x, y, width, height } = await placeOf(page, 'a.png');
      return [(pointer.x - x) / width, (pointer.y - y) / height];
    };
    const same = [expect.closeTo(0.25, 2), expect.closeTo(0.4, 2)];
    await page.mouse.move(pointer.x, pointer.y);
    await page.keyboard.press('z');
    await soon(() => sizesOf(page)).toEqual(['100 %']);
    expect(await underPointer()).toEqual(same);
    expect((await placeOf(page, 'a.png')).width).toBeCloseTo(WIDTH, 0);
    await page.keyboard.press('z');
    await soon(() => placeOf(page, 'a.png')).toEqual(fitted);
    await page.mouse.wheel(0, -300);
    await soon(async () => (await placeOf(page, 'a.png')).width).toBeGreaterThan(fitted.width * 1.5);
    expect(await underPointer()).toEqual(same);

    await page.mouse.dblclick(pointer.x, pointer.y);
    await soon(() => placeOf(page, 'a.png')).toEqual(fitted);
    await page.keyboard.press('z');
    await soon(() => sizesOf(page)).toEqual(['100 %']);
    const before = await placeOf(page, 'a.png');
    await page.mouse.down();
    await page.mouse.move(pointer.x - 120, pointer.y + 40, { steps: 5 });
    await page.mouse.up();
    const after = await placeOf(page, 'a.png');
    expect([after.x - before.x, after.y - before.y]).toEqual([expect.closeTo(-120), expect.closeTo(40)]);
    await page.keyboard.press('ArrowRight');
    await soon(() => placeOf(page, 'b.png')).toEqual(after);
    await viewerOf(page).getByRole('button', { name: 'Fit' }).click();
    await soon(() => placeOf(page, 'b.png')).toEqual(fitted);
  });

  test('shows the crop of the bucket, the filmstrip and the facts by key, and remembers them', async () => {
    const image = await media.jpeg({ width: 100, height: 80 });
    const { page } = await openWith({ 'a.jpg': image, 'b.jpg': image }, '?view=a.jpg');
    const viewer = viewerOf(page);
    await viewer.getByText('SHA-256').waitFor();
    await page.keyboard.press('i');
    await viewer.getByText('SHA-256').waitFor({ state: 'detached' });
    await viewer.getByRole('list', { name: 'Filmstrip' }).waitFor();
    await page.keyboard.press('f');
    await viewer.getByRole('list', { name: 'Filmstrip' }).waitFor({ state: 'detached' });
    await page.keyboard.press('b');
    await viewer.getByText('Trained on at 96 × 80, which cuts 2 px at the left and at the right.').waitFor();
    await viewer.getByRole('img', { name: 'Crop to 96 × 80' }).waitFor();
    await viewer.getByRole('button', { name: '32', exact: true }).click();
    await page.keyboard.press('ArrowRight');
    await headingOf(page, 'b.jpg').waitFor();
    await viewer.getByRole('img', { name: 'Crop to 128 × 64' }).waitFor();
    await page.reload();
    await viewer.getByText('Trained on at').waitFor();
    await soon(() => viewer.getByText('SHA-256').count()).toBe(0);
    await page.keyboard.press('i');
    await viewer.getByText('SHA-256').waitFor();
  });

  test('writes one caption after another, and deletes a pair and undoes that by keys, without being left', async () => {
    const image = await media.jpeg();
    const { api, id, page } = await openWith({ 'a.jpg': image, 'b.jpg': image, 'c.jpg': image }, '?view=a.jpg');
    await headingOf(page, 'a.jpg').waitFor();
    await page.keyboard.press('e');
    await page.keyboard.type('the first');
    await page.keyboard.press('Control+Enter');
    await headingOf(page, 'b.jpg').waitFor();
    await soon(() => focusedOf(page)).toBe('Caption of b.jpg');
    await page.keyboard.type('the second');
    await page.keyboard.press('Tab');
    await headingOf(page, 'c.jpg').waitFor();
    await page.keyboard.press('Control+Shift+Enter');
    await headingOf(page, 'b.jpg').waitFor();
    await soon(() => api.text(id, 'b.txt')).toBe('the second');
    expect(await api.text(id, 'a.txt')).toBe('the first');
    await soon(() => focusedOf(page)).toBe('Caption of b.jpg');
    // The page has learned of the caption, which is deleted with its picture.
    await page.getByText('2 captions').first().waitFor();
    // Escape leaves the field, then the viewer.
    await page.keyboard.press('Escape');
    await headingOf(page, 'b.jpg').waitFor();
    await page.keyboard.press('Delete');
    await page.getByRole('button', { name: 'Delete 2 files' }).click();
    await headingOf(page, 'c.jpg').waitFor();
    await viewerOf(page).getByText('2 files deleted.').waitFor();
    await page.keyboard.press('Control+z');
    await viewerOf(page).getByText('3 of 3').waitFor();
    expect(await api.text(id, 'b.txt')).toBe('the second');
    await page.keyboard.press('ArrowLeft');
    await headingOf(page, 'b.jpg').waitFor();
    await page.keyboard.press('Escape');
    await viewerOf(page).waitFor({ state: 'detached' });
    await soon(() => focusedOf(page)).toBe('Open b.jpg');
  });

  test('moves on with a swipe, says what could not be loaded, and keeps the focus in it', {
    tags: ['long'],
  }, async () => {
    const image = await media.jpeg();
    const { id, page, context } = await openWith({ 'a.jpg': image, 'b.jpg': image, 'c.jpg': image }, '?view=b.jpg');
    await page.setViewportSize({ width: 390, height: 844 });
    const devtools = await context.newCDPSession(page);
    await devtools.send('Emulation.setTouchEmulationEnabled', { enabled: true });
    const swipe = async (name: string, by: number) => {
      const { x, y, width, height } = await placeOf(page, name);
      const at = (part: number) => [{ x: x + width / 2 + by * part, y: y + height / 2 }];
      await devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(0) });
      for (const part of [0.5, 1]) {
        await devtools.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: at(part) });
      }
      await devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    };
    await headingOf(page, 'b.jpg').waitFor();
    await swipe('b.jpg', -100);
    await headingOf(page, 'c.jpg').waitFor();
    await swipe('c.jpg', 100);
    await headingOf(page, 'b.jpg').waitFor();

    await context.route('**/files/a.jpg?*', (route) => route.abort());
    await page.goto(`${site.server.url}/datasets/${id}?view=a.jpg`);
    await viewerOf(page).getByText('It could not be loaded.').waitFor();
    await context.unroute('**/files/a.jpg?*');
    await viewerOf(page).getByRole('button', { name: 'Try again' }).click();
    await viewerOf(page).getByAltText('a.jpg').waitFor();
    for (let press = 0; press < 25; press++) {
      await page.keyboard.press('Tab');
      const isOutside = await page.evaluate(
        () => document.activeElement !== document.body && document.activeElement?.closest('dialog') === null,
      );
      expect(isOutside).toBe(false);
    }
    await context.close();
  });

  test('compares selected pictures with zoom and pan in step, and keeps one of them', async () => {
    const files = {
      'a.png': await large('#08f'),
      'a.txt': 'blue',
      'b.png': await large('#f80'),
      'c.jpg': await media.jpeg({ width: 600, height: 400 }),
      'd.jpg': await media.jpeg(),
    };
    const { api, id, page } = await openWith(files);
    for (const name of ['a.png', 'b.png', 'c.jpg']) await boxOf(page, name).check();
    await page.keyboard.press('c');
    await page.getByRole('heading', { name: 'Compare 3 pictures' }).waitFor();
    await soon(async () => new Set(await sizesOf(page)).size).toBe(2);
    const fitted = await placeOf(page, 'a.png');
    await page.mouse.move(fitted.x + fitted.width * 0.7, fitted.y + fitted.height * 0.3);
    await page.mouse.wheel(0, -400);
    await soon(async () => (await placeOf(page, 'b.png')).width).toBeGreaterThan(fitted.width * 1.5);
    await page.mouse.down();
    await page.mouse.move(fitted.x + fitted.width * 0.5, fitted.y + fitted.height * 0.4, { steps: 3 });
    await page.mouse.up();
    const places = await Promise.all(['a.png', 'b.png', 'c.jpg'].map((name) => placeOf(page, name)));
    // Beside one another, and otherwise the same.
    for (const { width, y } of places) {
      expect(width).toBeCloseTo(places[0]!.width, 0);
      expect(y).toBeCloseTo(places[0]!.y, 0);
    }
    await page.keyboard.press('2');
    const question = page.getByRole('dialog', { name: 'Delete 3 files?' });
    for (const name of ['a.png', 'a.txt', 'c.jpg']) await question.getByText(name, { exact: true }).waitFor();
    await question.getByRole('button', { name: 'Delete 3 files' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await soon(() => api.filenames(id)).toEqual(['b.png', 'd.jpg']);
  });
});

const RED = [255, 0, 0];
const BLUE = [0, 0, 255];

/** An image of one colour, with a left half of another one where `left` is given. */
function imageOf(colour: string, left?: string): Promise<Buffer> {
  const image = sharp({ create: { width: 120, height: 80, channels: 3, background: colour } });
  if (left === undefined) return image.png().toBuffer();
  const half = { create: { width: 60, height: 80, channels: 3 as const, background: left } };
  return image
    .composite([{ input: half, left: 0, top: 0 }])
    .png()
    .toBuffer();
}

/** The colour of an element as it is painted, at a part of its width. */
async function colourAt(element: Locator, part: number): Promise<number[]> {
  const shot = sharp(await element.screenshot()).removeAlpha();
  const { data, info } = await shot.raw().toBuffer({ resolveWithObject: true });
  const at = (Math.floor(info.height / 2) * info.width + Math.floor(info.width * part)) * info.channels;
  return [...data.subarray(at, at + 3)];
}

/** The small picture of a card. */
const smallOf = (page: Page, name: string, label: string) =>
  cardOf(page, name).getByRole('button', { name: `Compare with the ${label}`, exact: true });

describeInBrowser('the controls and the mask of a pair', (site) => {
  test('are small pictures beside the target, and come and go with their files', async () => {
    const { api, open } = await site.newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a', 'b']);
    const depth = await datasetOfRole(api, 'depth', 'control', ['a', 'b']);
    const masks = await datasetOfRole(api, 'masks', 'mask', ['a']);
    await linkDatasets(api, id, { control_1: depth, mask: masks });
    const { page, context } = await open();
    // Without events, which would read the status of the linked dataset again before the click.
    const reads = new RegExp(`${depth}/status|/events`);
    await context.route(reads, (route) => route.abort());
    await page.goto(`${site.server.url}/datasets/${id}`);
    await page.getByText('Could not read the controls and masks. Could not reach the service.').waitFor();
    await context.unroute(reads);
    await page.getByRole('button', { name: 'Try again' }).click();

    await soon(() => isPainted(smallOf(page, 'a.jpg', 'control a.jpg'))).toBe(true);
    await soon(() => isPainted(smallOf(page, 'a.jpg', 'mask a.jpg'))).toBe(true);
    await cardOf(page, 'b.jpg').getByText('No mask', { exact: true }).waitFor();
    await filterOf(page, 'No control or mask 1').click();
    await soon(() => namesOf(page)).toEqual(['b.jpg']);
    await filterOf(page, 'All').click();

    await api.upload(masks, 'b.jpg', await media.jpeg());
    await soon(() => isPainted(smallOf(page, 'b.jpg', 'mask b.jpg'))).toBe(true);
    await page.getByText('READY', { exact: true }).waitFor();
    await api.upload(depth, 'b.png', await media.png());
    await cardOf(page, 'b.jpg').getByText('2 files', { exact: true }).waitFor();
    await api.raw('DELETE', `/${depth}/files/a.jpg`);
    await cardOf(page, 'a.jpg').getByText('No control', { exact: true }).waitFor();
    await page.getByText('FAILED', { exact: true }).waitFor();
  });

  /** The page of red targets `a` and `b` with blue controls, and with masks whose left half is white. */
  async function openRedWithBlue() {
    const { api, open } = await site.newAccount();
    const files = async (bytes: Promise<Buffer>) => ({ 'a.png': await bytes, 'b.png': await bytes });
    const captions = { 'a.txt': 'red', 'b.txt': 'red' };
    const id = await datasetWith(api, { ...(await files(imageOf('#f00'))), ...captions });
    const depth = await datasetWith(api, await files(imageOf('#00f')), { role: 'control', name: 'depth' });
    const masks = await datasetWith(api, await files(imageOf('#000', '#fff')), { role: 'mask', name: 'masks' });
    await linkDatasets(api, id, { control_1: depth, mask: masks });
    const { page } = await open(`/datasets/${id}`);
    return { page, viewer: page.getByRole('dialog') };
  }

  const pressed = (page: Page) =>
    page
      .getByRole('dialog')
      .getByRole('group', { name: /compare/i })
      .locator('[aria-pressed=true]')
      .allTextContents();

  /** Waits until so many pictures of the viewer are painted, besides those of its filmstrip. */
  const painted = (page: Page, count: number) =>
    soon(() =>
      page
        .getByRole('dialog')
        .locator('img:not([alt=""])')
        .evaluateAll((images: HTMLImageElement[]) => images.filter(({ naturalWidth }) => naturalWidth > 0).length),
    ).toBe(count);

  test('are compared side by side, under a slider, and over each other', async () => {
    const { page, viewer } = await openRedWithBlue();
    await pictureOf(page, 'a.png').click();
    await soon(() => pressed(page)).toEqual(['Target alone']);
    await viewer.getByRole('button', { name: 'Control' }).click();
    const [first, second] = [viewer.getByRole('figure').nth(0), viewer.getByRole('figure').nth(1)];
    await second.getByText('control a.png of depth').waitFor();
    await painted(page, 2);
    expect(await colourAt(first.locator('img'), 0.5)).toEqual(RED);
    expect(await colourAt(second.locator('img'), 0.5)).toEqual(BLUE);

    await viewer.getByRole('button', { name: 'Slider' }).click();
    const divider = viewer.getByRole('slider', { name: 'Divider between the target and the control' });
    await soon(() => divider.getAttribute('aria-valuetext')).toBe('50 % target, 50 % control');
    await painted(page, 2);
    expect(await colourAt(divider.locator('..'), 0.2)).toEqual(RED);
    expect(await colourAt(divider.locator('..'), 0.8)).toEqual(BLUE);
    const box = (await divider.boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.1, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    await soon(() => divider.inputValue().then(Number)).toBeLessThan(15);
    expect(await colourAt(divider.locator('..'), 0.2)).toEqual(BLUE);
    // After the pointer has moved the divider, the arrow keys move to the next pair.
    await page.keyboard.press('ArrowRight');
    await viewer.getByRole('heading', { name: 'b.png' }).waitFor();

    await viewer.getByRole('button', { name: 'Overlay' }).click();
    await painted(page, 2);
    const over = viewer.getByAltText('b.png').nth(1);
    const [red = 0, , blue = 0] = await colourAt(over, 0.5);
    expect(Math.min(red, blue)).toBeGreaterThan(100);
    await viewer.getByRole('slider', { name: 'Opacity of the control' }).focus();
    await page.keyboard.press('End');
    await soon(() => colourAt(over, 0.5)).toEqual(BLUE);

    await page.keyboard.press('m');
    const overlay = viewer.getByRole('img', { name: 'mask b.png of masks' });
    await overlay.waitFor();
    await painted(page, 1);
    await soon(() => colourAt(overlay, 0.25)).not.toEqual(RED);
    expect(await colourAt(overlay, 0.75)).toEqual(RED);
    const shows = async (key: string, ...names: string[]) => {
      await page.keyboard.press(key);
      await soon(() => pressed(page), key).toEqual(names);
    };
    await shows('1', 'Control', 'Overlay');
    await shows('v', 'Control', 'Side by side');
    await shows('0', 'Target alone');
  });
});
