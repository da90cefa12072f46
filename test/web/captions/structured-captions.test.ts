import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetWith } from '../linked-datasets.js';
import { cardOf, soon } from '../pairs/pairs-page.js';

describeInBrowser('structured captions, and what captions have in common', (site) => {
  test('a JSON caption is edited as text beside the other, and a fault is named with its place', async () => {
    const id = await datasetWith(site.api, {
      ...{ 'a.jpg': await media.jpeg(), 'a.txt': 'a red wagon', 'a.json': '{"a": "wagon"}\n' },
      ...{ 'b.jpg': await media.jpeg({ seed: 2 }), 'b.txt': 'two rails' },
    });
    const { page } = await site.open(`/datasets/${id}?view=a.jpg`);
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
