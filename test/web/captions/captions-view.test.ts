import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { stemOf } from '../../../src/dataset/media.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { Gate } from '../../harness/gate.js';
import { captionedImages, captionsOf as textsOf, datasetWith, openDataset } from '../linked-datasets.js';
import { boxOf, captionOf, cardOf, onSave, SAVES, soon } from '../pairs/pairs-page.js';

describeInBrowser('the captions of a dataset', (site) => {
  const openWith = async (captions: Parameters<typeof captionedImages>[0]) => {
    const opened = await openDataset(site, captionedImages(captions));
    await opened.page.getByRole('heading', { name: 'Change many captions' }).waitFor();
    return opened;
  };
  /** Every caption of the dataset, by its stem. */
  const captionsOf = async (id: string) =>
    Object.fromEntries(Object.entries(await textsOf(site.api, id)).map(([name, text]) => [stemOf(name), text]));
  const listed = async (page: Page) =>
    page
      .getByRole('list', { name: 'Pairs', exact: true })
      .getByRole('textbox')
      .evaluateAll((fields) => fields.map((field) => field.getAttribute('aria-label')?.slice('Caption of '.length)));
  const preview = (page: Page) => page.getByRole('list', { name: 'Planned changes' }).getByRole('listitem');
  /** A change to many captions that runs or has work left. */
  const jobOf = (page: Page, name: string) => page.getByRole('region', { name, exact: true });

  test('counts tags and words, sorts them, and lists the captions of one', async () => {
    const { page } = await openWith({
      one: 'red wagon, snow',
      two: 'snow,red wagen',
      three: 'Snow',
      four: 'snow, red wagon',
    });
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

    await page.getByRole('region', { name: 'Statistics' }).getByRole('button', { name: 'duplicates' }).click();
    await page.getByText('2 pairs', { exact: true }).waitFor();
  });

  test('prepends and appends a trigger word after a preview, and undoes it byte for byte', async () => {
    const { id, page } = await openWith({
      bom: media.captionBytes('a wagon', 'utf8-bom'),
      crlf: 'one\r\ntwo\r\n',
      has: 'a photo of sks',
      html: '<b>bold</b>',
    });
    const original = await captionsOf(id);
    await page.getByLabel('Trigger word').fill('sks');
    await page.getByText('3 changes to all captions').waitFor();
    await soon(() => preview(page).allTextContents()).toEqual([
      'bom.txtsks, a wagon',
      'crlf.txtsks, one\r\ntwo\r\n',
      'html.txtsks, <b>bold</b>',
    ]);
    await soon(() => preview(page).first().getByRole('insertion').textContent()).toBe('sks, ');
    expect(await captionsOf(id)).toEqual(original);
    // A caption that is left out counts only while its pair is selected.
    await boxOf(page, 'bom.jpg').check();
    await page.getByRole('checkbox', { name: 'Change bom.txt' }).uncheck();
    await boxOf(page, 'bom.jpg').uncheck();
    await boxOf(page, 'html.jpg').check();
    await page.getByRole('button', { name: 'Change 1 caption', exact: true }).waitFor();
    await boxOf(page, 'html.jpg').uncheck();
    await page.getByRole('checkbox', { name: 'Change bom.txt' }).check();
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

  test('replaces words or whole tags, and fills what is missing, blank ones on request', async () => {
    const { id, page } = await openWith({ a: 'red, redder, Red', b: undefined, c: ' ' });
    await page.getByText('Replace', { exact: true }).click();
    await page.getByLabel('Find').fill('red');
    await page.getByLabel('Replace with').fill('blue');
    await page.getByLabel('Whole words').check();
    await soon(() => preview(page).getByRole('insertion').count()).toBe(2);
    await page.getByLabel('As a tag').check();
    await page.getByRole('button', { name: 'Change 1 caption' }).click();
    await soon(() => site.api.text(id, 'a.txt')).toBe('blue, redder');
    await page.getByText('Fill', { exact: true }).click();
    await page.getByLabel('Text for missing captions').fill('sks');
    await page.getByText('1 change to all captions').waitFor();
    await page.getByLabel('Also fill blank captions').check();
    await page.getByRole('button', { name: 'Change 2 captions' }).click();
    await soon(() => captionsOf(id)).toEqual({ a: 'blue, redder', b: 'sks', c: 'sks' });
  });

  test('leaves what others changed, lists failures, retries them, and undoes them as well', async () => {
    const { id, page } = await openWith({ one: 'a wagon', two: 'a signal', three: 'a bridge' });
    await page.getByLabel('Trigger word').fill('sks');
    await onSave(page, async (route, count) => {
      if (count > 1) return route.continue();
      await site.api.upload(id, 'three.txt', 'theirs');
      const { captions } = route.request().postDataJSON() as { captions: { text: string }[] };
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
    await page.keyboard.press('Control+Shift+Z');
    await soon(() => captionsOf(id)).toEqual({ one: 'sks, a wagon', two: 'sks, a signal', three: 'theirs too' });
  });

  test('can be cancelled, leaves the dataset READY, and undoes the changes it made', { tags: ['long'] }, async () => {
    const { id, page } = await openWith({ n000: 'caption of n000' });
    await page.getByLabel('Trigger word').fill('first');
    await page.getByRole('button', { name: 'Change 1 caption', exact: true }).click();
    await page.getByText('1 caption changed.').waitFor();
    let undos = 0;
    page.on('request', (request) => request.url().endsWith('/undo') && undos++);
    const names = Array.from({ length: 249 }, (_, index) => `n${String(index + 1).padStart(3, '0')}`);
    const captions = names.map((name) => ({ filename: `${name}.txt`, text: `caption of ${name}` }));
    await site.api.json('PUT', `/${id}/captions`, { captions });
    const original = await captionsOf(id);
    await page.getByLabel('Trigger word').fill('sks');
    const gate = new Gate();
    await onSave(page, async (route, count) => {
      // The second request is under way at the cancel.
      if (count === 2) await gate.opened;
      return route.continue();
    });
    await page.getByRole('button', { name: 'Change 250 captions' }).click();
    await page.getByText('100 of 250 captions changed').waitFor();
    // It would undo the change before.
    await page.keyboard.press('Control+z');
    await page.getByRole('button', { name: 'Cancel' }).click();
    gate.open();
    const job = jobOf(page, 'Prepend “sks” to 250 captions');
    await job.getByText('200 captions changed, 50 captions not changed because you cancelled.').waitFor();
    expect((await site.api.status(id)).body.status).toBe('READY');
    await page.unroute(SAVES);
    await page.getByRole('link', { name: 'History', exact: true }).first().click();
    await page.getByRole('link', { name: 'Workbench', exact: true }).click();
    expect(undos).toBe(0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Undone: 200 files restored.').waitFor();
    expect(await captionsOf(id)).toEqual(original);
  });

  test('a JSON caption is edited as text beside the other, and a fault is named with its place', async () => {
    const files = {
      ...{ 'a.jpg': await media.jpeg(), 'a.txt': 'a red wagon', 'a.json': '{"a": "wagon"}\n' },
      ...{ 'b.jpg': await media.jpeg({ seed: 2 }), 'b.txt': 'two rails' },
    };
    const { id, page } = await openDataset(site, files, '?view=a.jpg');
    const field = page.getByRole('dialog').getByRole('textbox', { name: 'Structured caption a.json' });
    await soon(() => field.inputValue()).toBe('{"a": "wagon"}');
    await field.fill('{\n  "a": "rail",\n}');
    await field.blur();
    await page.getByText('a.json is not valid JSON: line 3, column 1').waitFor();
    await field.fill('{\n  "a": "rail"\n}');
    await field.blur();
    await soon(() => site.api.text(id, 'a.json')).toBe('{\n  "a": "rail"\n}\n');
    expect(await site.api.text(id, 'a.txt')).toBe('a red wagon');
    const caption = page.getByRole('dialog').getByRole('textbox', { name: 'Caption of a.jpg' });
    await soon(() => caption.inputValue()).toBe('a red wagon');
  });

  test('Fit to train? names what captions have in common, and leads to them', async () => {
    const texts = ['a wagon', 'two rails', 'an engine', 'the yard', 'fog'];
    const id = await datasetWith(
      site.api,
      Object.fromEntries([
        ...(await Promise.all(texts.map(async (_, i) => [`${i}.jpg`, await media.jpeg({ seed: i })] as const))),
        ...texts.map((text, i) => [`${i}.txt`, `sks, ${text}, Masterpiece`] as const),
        ...[['5.jpg', await media.jpeg({ seed: 9 })] as const, ['5.txt', "I'm sorry, I can't help."] as const],
      ]),
    );
    const { page } = await site.open(`/datasets/${id}/fitness`);
    const panel = page.getByRole('region', { name: 'Caption texts' });
    await panel.getByText('1 caption has the words with which a model declines').waitFor();
    await panel.getByRole('link', { name: 'Show them, to rename or remove the tag' }).click();
    await soon(() => new URL(page.url()).search).toBe('?tag=Masterpiece');
    await page.getByText('5 pairs', { exact: true }).waitFor();
    await page.goBack();
    await panel.getByRole('link', { name: 'Show them', exact: true }).first().click();
    await soon(() => new URL(page.url()).search).toBe('?q=is%3Arefusal');
    await cardOf(page, '5.jpg').waitFor();
    await page.getByText('1 pair', { exact: true }).waitFor();
    await page.goBack();
    await panel.getByRole('button', { name: 'Remove “masterpiece” …' }).click();
    const dialog = page.getByRole('dialog', { name: 'Remove “Masterpiece”' });
    await dialog.getByRole('button', { name: 'Remove from 5 captions' }).click();
    await soon(() => site.api.text(id, '0.txt')).toBe('sks, a wagon');
  });
});
