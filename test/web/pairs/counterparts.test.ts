import type { Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetOfRole, datasetWith, linkDatasets } from '../linked-datasets.js';
import { cardOf, filterOf, isPainted, namesOf, pictureOf, soon } from './pairs-page.js';

const [WIDTH, HEIGHT] = [120, 80];
const RED = [255, 0, 0];
const BLUE = [0, 0, 255];

/** An image of one colour, with a left half of another one where `left` is given. */
function imageOf(colour: string, left?: string): Promise<Buffer> {
  const image = sharp({ create: { width: WIDTH, height: HEIGHT, channels: 3, background: colour } });
  if (left === undefined) return image.png().toBuffer();
  const half = { create: { width: WIDTH / 2, height: HEIGHT, channels: 3 as const, background: left } };
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
    await context.route(`**/${depth}/status`, (route) => route.abort());
    await page.goto(`${site.server.url}/datasets/${id}`);
    await page.getByText('Could not read the controls and masks. Could not reach the service.').waitFor();
    await context.unroute(`**/${depth}/status`);
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
