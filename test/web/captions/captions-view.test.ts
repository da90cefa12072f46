import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { captionOf, soon } from '../pairs/pairs-page.js';

describeInBrowser('the captions of a dataset', (site) => {
  const datasetOf = async (captions: Parameters<typeof captionedImages>[0]) =>
    datasetWith(site.api, await captionedImages(captions));

  const open = async (id: string) => {
    const { page } = await site.open(`/datasets/${id}`);
    await page.getByRole('heading', { name: 'Change many captions' }).waitFor();
    return page;
  };
  /** Every caption of the dataset. */
  const captionsOf = async (id: string): Promise<Record<string, string>> => {
    const names = (await site.api.filenames(id)).filter((name) => name.endsWith('.txt'));
    const texts = names.map(async (name) => [name.replace(/\.txt$/, ''), await site.api.text(id, name)] as const);
    return Object.fromEntries(await Promise.all(texts));
  };
  const listed = async (page: Page) =>
    page
      .getByRole('list', { name: 'Pairs', exact: true })
      .getByRole('textbox')
      .evaluateAll((fields) => fields.map((field) => field.getAttribute('aria-label')?.slice('Caption of '.length)));
  const preview = (page: Page) => page.getByRole('list', { name: 'Planned changes' }).getByRole('listitem');
  /** A change to many captions that runs or has work left. */
  const jobOf = (page: Page, name: string) => page.getByRole('region', { name, exact: true });

  test('counts tags and words, sorts them, and lists the captions of one', async () => {
    const id = await datasetOf({
      one: 'red wagon, snow',
      two: 'snow,red wagen',
      three: 'Snow',
      four: 'snow, red wagon',
    });
    const page = await open(id);
    const tags = page.getByRole('list', { name: 'Tags' }).getByRole('button');
    await soon(() => tags.allInnerTexts()).toEqual(['snow\n3', 'red wagon\n2', 'red wagen\n1', 'Snow\n1']);
    await page.getByLabel('Order').selectOption('Rare first');
    await page.getByLabel('Search tags').fill('WAG');
    await soon(() => tags.allInnerTexts()).toEqual(['red wagen\n1', 'red wagon\n2']);
    await tags.first().click();
    await page.getByText('1 pair', { exact: true }).waitFor();
    await soon(() => listed(page)).toEqual(['two.jpg']);
    await captionOf(page, 'two.jpg').fill('snow, red wagon');
    await captionOf(page, 'two.jpg').press('Control+Enter');
    // The caption that was edited stays listed, and the count is that of what is listed.
    await page.getByText('1 pair, 1 changed').waitFor();
    expect(await listed(page)).toEqual(['two.jpg']);
    await page.getByText('Words', { exact: true }).click();
    const words = page.getByRole('list', { name: 'Words' }).getByRole('button');
    await page.getByLabel('Search words').fill('');
    await soon(() => words.allInnerTexts()).toEqual(['red\n3', 'wagon\n3', 'snow\n4']);
    await words.first().click();
    await soon(() => listed(page)).toEqual(['four.jpg', 'one.jpg', 'two.jpg']);
    expect(new URL(page.url()).search).toBe('?word=red');

    // The statistics lead to captions, too.
    await page.getByRole('region', { name: 'Statistics' }).getByRole('button', { name: 'duplicates' }).click();
    await page.getByText('2 pairs', { exact: true }).waitFor();
  });

  test('prepends and appends a trigger word after a preview, and undoes it byte for byte', async () => {
    const id = await datasetOf({
      bom: media.captionBytes('a wagon', 'utf8-bom'),
      crlf: 'one\r\ntwo\r\n',
      has: 'a photo of sks',
      html: '<b>bold</b>',
    });
    const original = await captionsOf(id);
    const page = await open(id);
    await page.getByLabel('Trigger word').fill('sks');
    await page.getByText('3 changes to all captions').waitFor();
    await soon(() => preview(page).allTextContents()).toEqual([
      'bom.txtsks, a wagon',
      'crlf.txtsks, one\r\ntwo\r\n',
      'html.txtsks, <b>bold</b>',
    ]);
    await soon(() => preview(page).first().getByRole('insertion').textContent()).toBe('sks, ');
    expect(await captionsOf(id)).toEqual(original);
    await page.getByRole('button', { name: 'Change 3 captions' }).click();
    await page.getByText('3 captions changed.').waitFor();
    expect(await captionsOf(id)).toEqual({
      bom: 'sks, a wagon',
      crlf: 'sks, one\r\ntwo\r\n',
      has: 'a photo of sks',
      html: 'sks, <b>bold</b>',
    });
    await page.getByText('0 changes to all captions').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Undone: 3 files restored.').waitFor();
    expect(await captionsOf(id)).toEqual(original);
    await page.getByText('Append', { exact: true }).click();
    await page.getByRole('button', { name: 'Change 3 captions' }).click();
    await page.getByText('3 captions changed.').waitFor();
    expect(await captionsOf(id)).toMatchObject({ crlf: 'one\r\ntwo, sks\r\n', html: '<b>bold</b>, sks' });
  });

  test('leaves what others changed, lists failures, retries them, and undoes them as well', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal', three: 'a bridge' });
    const page = await open(id);
    await page.getByLabel('Trigger word').fill('sks');
    let isFirst = true;
    await page.route(/\/captions$/, async (route) => {
      const request = route.request();
      if (request.method() !== 'PUT' || !isFirst) return route.continue();
      isFirst = false;
      await site.api.upload(id, 'three.txt', 'theirs');
      const { captions } = request.postDataJSON() as { captions: { text: string }[] };
      const postData = JSON.stringify({ captions: captions.filter(({ text }) => !text.includes('wagon')) });
      const response = await route.fetch({ postData });
      const answer = await response.json();
      const problem = { code: 'INSPECTION_FAILED', message: 'Not today.' };
      answer.captions.push({ filename: 'one.txt', saved: false, problem });
      return route.fulfill({ response, json: answer });
    });
    await page.getByRole('button', { name: 'Change 3 captions' }).click();
    const job = jobOf(page, 'Prepend “sks” to 3 captions');
    await job.getByText('1 caption changed, 1 caption skipped, 1 caption failed.').waitFor();
    await page.getByRole('list', { name: 'Failed' }).getByText('Not today.').waitFor();
    expect(await captionsOf(id)).toEqual({ one: 'a wagon', two: 'sks, a signal', three: 'theirs' });
    await site.api.upload(id, 'three.txt', 'theirs too');
    await page.getByRole('button', { name: 'Try again' }).click();
    await job.getByText('2 captions changed, 1 caption skipped.').waitFor();
    expect(await captionsOf(id)).toEqual({ one: 'sks, a wagon', two: 'sks, a signal', three: 'theirs too' });
    let undos = 0;
    const refusal = { status: 409, json: { error_code: 409000, error_message: 'Not now.' } };
    await page.route(/\/undo$/, (route) => (++undos === 2 ? route.fulfill(refusal) : route.continue()));
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Could not undo it. Not now.').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Undone: 2 files restored.').waitFor();
    expect(await captionsOf(id)).toEqual({ one: 'a wagon', two: 'a signal', three: 'theirs too' });
    await page.getByRole('button', { name: 'Redo' }).click();
    await soon(() => captionsOf(id)).toEqual({ one: 'sks, a wagon', two: 'sks, a signal', three: 'theirs too' });
  });

  test('can be cancelled, leaves the dataset READY, and undoes the changes it made', { tags: ['long'] }, async () => {
    const id = await datasetOf({ n000: 'caption of n000' });
    const names = Array.from({ length: 249 }, (_, index) => `n${String(index + 1).padStart(3, '0')}`);
    const captions = names.map((name) => ({ filename: `${name}.txt`, text: `caption of ${name}` }));
    await site.api.json('PUT', `/${id}/captions`, { captions });
    const original = await captionsOf(id);
    const page = await open(id);
    await page.getByLabel('Trigger word').fill('sks');
    let sent = 0;
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route(/\/captions$/, async (route) => {
      // The second request is under way at the cancel.
      if (route.request().method() === 'PUT' && ++sent === 2) await released;
      return route.continue();
    });
    await page.getByRole('button', { name: 'Change 250 captions' }).click();
    await page.getByText('100 of 250 captions changed').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    release();
    const job = jobOf(page, 'Prepend “sks” to 250 captions');
    await job.getByText('200 captions changed, 50 captions not changed because you cancelled.').waitFor();
    expect((await site.api.status(id)).body.status).toBe('READY');
    await page.unroute(/\/captions$/);
    // The job survives a visit to another view.
    await page.getByRole('link', { name: 'History', exact: true }).first().click();
    await page.getByRole('link', { name: 'Workbench', exact: true }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Undone: 200 files restored.').waitFor();
    expect(await captionsOf(id)).toEqual(original);
  });
});
