import type { Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetOfRole, linkDatasets } from '../linked-datasets.js';
import { close, pictureOf, soon } from './pairs-page.js';

const [WIDTH, HEIGHT] = [120, 80];

/** An image of one colour; the left half of another one where `left` is given. */
function imageOf(colour: string, left?: string): Promise<Buffer> {
  const image = sharp({ create: { width: WIDTH, height: HEIGHT, channels: 3, background: colour } });
  const half = left && { create: { width: WIDTH / 2, height: HEIGHT, channels: 3 as const, background: left } };
  return (half === undefined || half === '' ? image : image.composite([{ input: half, left: 0, top: 0 }]))
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

const RED = [255, 0, 0];
const BLUE = [0, 0, 255];

describeInBrowser('the comparison of a target', (site) => {
  /** A dataset of red targets with blue controls and masks whose left half is white. */
  async function redWithBlue(stems: readonly string[]): Promise<{ id: string; depth: string; masks: string }> {
    const { api } = site;
    const named = (word: string) => `${word}-${crypto.randomUUID()}`;
    const [id, depth, masks] = [
      await datasetOfRole(api, named('railway'), 'training', []),
      await datasetOfRole(api, named('depth'), 'control', []),
      await datasetOfRole(api, named('masks'), 'mask', []),
    ];
    for (const stem of stems) {
      await api.upload(id, `${stem}.png`, await imageOf('#f00'));
      await api.upload(id, `${stem}.txt`, 'red');
      await api.upload(depth, `${stem}.png`, await imageOf('#00f'));
      await api.upload(masks, `${stem}.png`, await imageOf('#000', '#fff'));
    }
    await linkDatasets(api, id, { control_1: depth, mask: masks });
    return { id, depth, masks };
  }

  const pressed = (page: Page) => page.getByRole('dialog').locator('[aria-pressed=true]').allTextContents();

  /** Waits until all pictures of the viewer are painted. */
  const painted = (page: Page, count: number) =>
    soon(() =>
      page
        .getByRole('dialog')
        .locator('img')
        .evaluateAll((images: HTMLImageElement[]) => images.filter(({ naturalWidth }) => naturalWidth > 0).length),
    ).toBe(count);

  test('shows it and a control side by side, under a slider, and over each other', async () => {
    const { id } = await redWithBlue(['a', 'b']);
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await pictureOf(page, 'a.png').click();
    const viewer = page.getByRole('dialog');
    await soon(() => pressed(page)).toEqual(['Target alone']);
    await viewer.getByRole('button', { name: 'Control' }).click();
    const [first, second] = [viewer.getByRole('figure').nth(0), viewer.getByRole('figure').nth(1)];
    await second.getByText('control a.png of depth').waitFor();
    await painted(page, 2);
    expect(await colourAt(first.locator('img'), 0.5)).toEqual(RED);
    expect(await colourAt(second.locator('img'), 0.5)).toEqual(BLUE);

    await viewer.getByRole('button', { name: 'Slider' }).click();
    const divider = viewer.getByRole('slider', { name: 'Divider between the target and the control' });
    expect(await divider.getAttribute('aria-valuetext')).toBe('50 % target, 50 % control');
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
    await soon(() => divider.inputValue().then(Number)).toBeLessThan(15);
    await divider.focus();
    const value = Number(await divider.inputValue());
    await page.keyboard.press('ArrowRight');
    expect(Number(await divider.inputValue())).toBe(value + 1);
    await viewer.getByRole('heading', { name: 'b.png' }).waitFor();

    await viewer.getByRole('button', { name: 'Overlay' }).click();
    await painted(page, 2);
    const opacity = viewer.getByRole('slider', { name: 'Opacity of the control' });
    const over = viewer.getByAltText('b.png').nth(1);
    const mixed = await colourAt(over, 0.5);
    expect(mixed[0]).toBeGreaterThan(100);
    expect(mixed[2]).toBeGreaterThan(100);
    await opacity.focus();
    await page.keyboard.press('End');
    await soon(() => colourAt(over, 0.5)).toEqual(BLUE);
    await close(visited);
  });

  test('shows the mask as a coloured overlay where it is white', async () => {
    const { id } = await redWithBlue(['a']);
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await page.getByRole('button', { name: 'Compare with the mask a.png' }).click();
    const overlay = page.getByRole('dialog').getByRole('img', { name: 'mask a.png of masks' });
    await overlay.waitFor();
    expect(await pressed(page)).toEqual(['Mask', 'Overlay']);
    await painted(page, 1);
    await soon(() => colourAt(overlay, 0.25)).not.toEqual(RED);
    expect(await colourAt(overlay, 0.75)).toEqual(RED);
    await page.getByRole('slider', { name: 'Opacity of the mask' }).focus();
    await page.keyboard.press('Home');
    await soon(() => colourAt(overlay, 0.25)).toEqual(RED);
    await close(visited);
  });

  test('is chosen by keys, and stays from pair to pair', async () => {
    const { id } = await redWithBlue(['a', 'b']);
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await pictureOf(page, 'a.png').click();
    for (const [key, buttons] of [
      ['1', ['Control', 'Side by side']],
      ['v', ['Control', 'Slider']],
      ['m', ['Mask', 'Overlay']],
      ['ArrowRight', ['Mask', 'Overlay']],
      ['v', ['Mask', 'Side by side']],
      ['1', ['Control', 'Slider']],
      ['0', ['Target alone']],
      ['v', ['Control', 'Slider']],
    ] as const) {
      await page.keyboard.press(key);
      await soon(() => pressed(page), key).toEqual(buttons);
    }
    await page.getByRole('dialog').getByRole('heading', { name: 'b.png' }).waitFor();
    // In a caption, these keys are letters.
    await page.getByRole('dialog').getByRole('textbox').press('End');
    await page.keyboard.type('0');
    expect(await pressed(page)).toEqual(['Control', 'Slider']);
    await close(visited);
  });

  test('says that a control is missing, and shows it when it arrives', async () => {
    const { id, depth } = await redWithBlue(['a']);
    await site.api.raw('DELETE', `/${depth}/files/a.png`);
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await pictureOf(page, 'a.png').click();
    await page.keyboard.press('1');
    const viewer = page.getByRole('dialog');
    await viewer.getByText('The control is missing.').waitFor();
    await site.api.upload(depth, 'a.png', await imageOf('#00f'));
    await viewer.getByText('control a.png of depth').waitFor();
    await close(visited);
  });
});
