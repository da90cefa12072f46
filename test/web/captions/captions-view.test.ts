import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, type OpenOptions } from '../../harness/describe-in-browser.js';
import { tcpLinkTo } from '../../harness/tcp-link.js';

describeInBrowser('the view Captions', (site) => {
  let image: Buffer;
  beforeAll(async () => {
    image = await media.jpeg();
  });

  /** A dataset of images of these stems, each with its caption unless that is `undefined`. */
  async function datasetOf(captions: Record<string, string | Buffer | undefined>): Promise<string> {
    const id = await site.api.newDataset();
    for (const [stem, text] of Object.entries(captions)) {
      await site.api.upload(id, `${stem}.jpg`, image);
      if (text !== undefined) await site.api.upload(id, `${stem}.txt`, text);
    }
    return id;
  }

  const open = async (id: string, query = '', options?: OpenOptions) => {
    const visited = await site.open(`/datasets/${id}/captions${query}`, options);
    await visited.page.getByRole('heading', { name: 'Change many captions' }).waitFor();
    return visited;
  };
  /** Every caption of the dataset with its bytes, read as UTF-8. */
  const captionsOf = async (id: string): Promise<Record<string, string>> => {
    const names = (await site.api.filenames(id)).filter((name) => name.endsWith('.txt'));
    const texts = names.map(async (name) => {
      const bytes = await (await site.api.raw('GET', `/${id}/files/${encodeURIComponent(name)}`)).arrayBuffer();
      return [name.replace(/\.txt$/, ''), Buffer.from(bytes).toString()] as const;
    });
    return Object.fromEntries(await Promise.all(texts));
  };
  const listed = async (page: Page) =>
    page
      .getByRole('list', { name: 'Captions', exact: true })
      .getByRole('textbox')
      .evaluateAll((fields) => fields.map((field) => field.getAttribute('aria-label')?.slice('Caption of '.length)));
  const preview = (page: Page) => page.getByRole('list', { name: 'Planned changes' }).getByRole('listitem');
  /** A change to many captions that runs or has work left. */
  const jobOf = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
  const poll = <T>(look: () => Promise<T>) => expect.poll(look);

  test('counts tags and words, sorts them, and lists the captions of one', async () => {
    const id = await datasetOf({
      one: 'red wagon, snow',
      two: 'snow,red wagen',
      three: 'Snow',
      four: 'snow, red wagon',
    });
    const { page, browserErrors } = await open(id);
    const tags = page.getByRole('list', { name: 'Tags' }).getByRole('button');
    await poll(() => tags.allInnerTexts()).toEqual(['snow\n3', 'red wagon\n2', 'red wagen\n1', 'Snow\n1']);
    await page.getByLabel('Order').selectOption('Rare first');
    await poll(() => tags.allInnerTexts()).toEqual(['red wagen\n1', 'Snow\n1', 'red wagon\n2', 'snow\n3']);
    await page.getByLabel('Search tags').fill('WAG');
    await poll(() => tags.allInnerTexts()).toEqual(['red wagen\n1', 'red wagon\n2']);
    await tags.first().click();
    await page.getByText('1 caption with the tag “red wagen”').waitFor();
    await poll(() => listed(page)).toEqual(['two.jpg']);
    await page.getByLabel('Caption of two.jpg').fill('snow, red wagon');
    await page.getByLabel('Caption of two.jpg').press('Control+Enter');
    await page.getByText('0 captions with the tag “red wagen”').waitFor();
    // The caption that was edited stays listed.
    expect(await listed(page)).toEqual(['two.jpg']);
    await page.getByLabel('Search tags').fill('nothing like that');
    await page.getByText('No tag matches the search.').waitFor();
    await page.getByText('Words', { exact: true }).click();
    const words = page.getByRole('list', { name: 'Words' }).getByRole('button');
    await page.getByLabel('Search words').fill('');
    await poll(() => words.allInnerTexts()).toEqual(['red\n3', 'wagon\n3', 'snow\n4']);
    await words.first().click();
    await poll(() => listed(page)).toEqual(['four.jpg', 'one.jpg', 'two.jpg']);
    expect(new URL(page.url()).search).toBe('?word=red');
    await page.getByRole('link', { name: 'one.jpg' }).click();
    expect(page.url()).toBe(`${site.server.url}/datasets/${id}?file=one.jpg`);
    expect(browserErrors).toEqual([]);
  });

  test('shows statistics: missing, blank and duplicate captions, and lengths', async () => {
    const id = await datasetOf({
      a: 'the same',
      b: 'the same\n',
      c: ' ',
      d: undefined,
      e: 'quite a bit longer',
      f: 'x',
    });
    const { page } = await open(id);
    const facts = page.getByRole('region', { name: 'Statistics' });
    await poll(() => facts.getByRole('definition').allInnerTexts()).toEqual([
      '5',
      '1',
      '1',
      '2',
      '1 char.',
      '8 char.',
      '18 char.',
    ]);
    await facts.getByRole('button', { name: 'duplicates' }).click();
    await page.getByText('2 duplicate captions').waitFor();
    await poll(() => listed(page)).toEqual(['a.jpg', 'b.jpg']);
    await facts.getByRole('button', { name: 'missing' }).click();
    await poll(() => listed(page)).toEqual(['d.jpg']);
    await facts.getByRole('button', { name: 'blank' }).click();
    await poll(() => listed(page)).toEqual(['c.jpg']);
    await page.getByRole('button', { name: 'Show all' }).click();
    await poll(() => listed(page)).toHaveLength(6);
    expect(await facts.getByRole('link').last().getAttribute('href')).toBe(`/datasets/${id}?file=e.txt`);
  });

  test('prepends and appends a trigger word after a preview, and undoes it byte for byte', async () => {
    const before = {
      bom: media.captionBytes('a wagon', 'utf8-bom'),
      crlf: 'one\r\ntwo\r\n',
      has: 'a photo of sks',
      html: '<b>bold</b>',
    };
    const id = await datasetOf({ ...before, missing: undefined });
    const original = await captionsOf(id);
    const { page, browserErrors } = await open(id);
    await page.getByLabel('Trigger word').fill('sks');
    await page.getByText('3 changes to all captions').waitFor();
    await poll(() => preview(page).allTextContents()).toEqual([
      'bom.txtsks, a wagon',
      'crlf.txtsks, one\r\ntwo\r\n',
      'html.txtsks, <b>bold</b>',
    ]);
    expect(await preview(page).first().getByRole('insertion').textContent()).toBe('sks, ');
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
    expect(browserErrors).toEqual([]);
  });

  test('finds and replaces in the listed captions only', async () => {
    const id = await datasetOf({ one: 'snow, Red (1)', two: 'red (1), redder (1)', three: 'snow, red (1)' });
    const { page } = await open(id, '?tag=snow');
    await page.getByText('Replace', { exact: true }).click();
    await page.getByLabel('Find').fill('red (1)');
    await page.getByLabel('Replace with').fill('$& [blue]');
    await page.getByText('2 changes to captions with the tag “snow”').waitFor();
    await page.getByLabel('Match case').check();
    await page.getByText('1 change to').waitFor();
    await page.getByRole('button', { name: 'Change 1 caption' }).click();
    await page.getByText('1 caption changed.').waitFor();
    expect(await captionsOf(id)).toEqual({
      one: 'snow, Red (1)',
      two: 'red (1), redder (1)',
      three: 'snow, $& [blue]',
    });
  });

  test('fills missing captions, and an undo deletes them again', async () => {
    const id = await datasetOf({ one: undefined, two: undefined });
    const { page, browserErrors } = await open(id);
    await page.getByText('No tags yet.').waitFor();
    await page.getByLabel('Text for missing captions').fill('sks');
    await page.getByRole('button', { name: 'Change 2 captions' }).click();
    await page.getByText('2 captions changed.').waitFor();
    expect(await captionsOf(id)).toEqual({ one: 'sks', two: 'sks' });
    // An edit in between, which the undo must not overwrite.
    await site.api.upload(id, 'two.txt', 'sks, a signal');
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Undone: 1 file restored. 1 file was changed since and stays as it is: two.txt').waitFor();
    expect(await captionsOf(id)).toEqual({ two: 'sks, a signal' });
    expect(browserErrors).toEqual([]);
  });

  test('skips captions that were changed after the preview', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal' });
    const { page } = await open(id);
    await page.getByLabel('Trigger word').fill('sks');
    await page.getByText('2 changes').waitFor();
    // Another client's change arrives after the job has read the captions and before it writes them.
    let isFirst = true;
    await page.route(/\/captions$/, async (route) => {
      if (route.request().method() === 'PUT' && isFirst) {
        isFirst = false;
        await site.api.upload(id, 'one.txt', 'theirs');
      }
      await route.continue();
    });
    await page.getByRole('button', { name: 'Change 2 captions' }).click();
    await jobOf(page, 'Prepend “sks” to 2 captions').getByText('1 caption changed, 1 caption skipped.').waitFor();
    expect(await captionsOf(id)).toEqual({ one: 'theirs', two: 'sks, a signal' });
    await page.getByRole('listitem').filter({ hasText: 'one.txt' }).getByRole('link', { name: 'Look at it' }).click();
    await expect.poll(() => page.getByLabel('Caption of one.jpg').inputValue()).toBe('theirs');
  });

  test('lists failures with the reason, retries them, and undoes them as well', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal' });
    const { page } = await open(id);
    await page.getByLabel('Trigger word').fill('sks');
    let refused = 0;
    await page.route(/\/captions$/, async (route) => {
      const request = route.request();
      if (request.method() !== 'PUT' || refused++ > 0) return route.continue();
      const { captions } = request.postDataJSON() as { captions: { text: string }[] };
      const postData = JSON.stringify({ captions: captions.filter(({ text }) => !text.includes('wagon')) });
      const response = await route.fetch({ postData });
      const answer = await response.json();
      const problem = { code: 'INSPECTION_FAILED', message: 'Not today.' };
      answer.captions.push({ filename: 'one.txt', saved: false, problem });
      return route.fulfill({ response, json: answer });
    });
    await page.getByRole('button', { name: 'Change 2 captions' }).click();
    await jobOf(page, 'Prepend “sks” to 2 captions').getByText('1 caption changed, 1 caption failed.').waitFor();
    await page.getByRole('list', { name: 'Failed' }).getByText('Not today.').waitFor();
    expect(await captionsOf(id)).toEqual({ one: 'a wagon', two: 'sks, a signal' });
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('2 captions changed.').waitFor();
    expect(await captionsOf(id)).toEqual({ one: 'sks, a wagon', two: 'sks, a signal' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Undone: 2 files restored.').waitFor();
    expect(await captionsOf(id)).toEqual({ one: 'a wagon', two: 'a signal' });
  });

  test('can be cancelled, leaves the dataset READY, and undoes the changes it made', async () => {
    const id = await datasetOf({ n000: 'caption of n000' });
    const names = Array.from({ length: 249 }, (_, index) => `n${String(index + 1).padStart(3, '0')}`);
    const captions = names.map((name) => ({ filename: `${name}.txt`, text: `caption of ${name}` }));
    await site.api.json('PUT', `/${id}/captions`, { captions });
    const original = await captionsOf(id);
    const { page } = await open(id);
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
    await page.getByRole('link', { name: 'Files', exact: true }).click();
    await page.getByRole('link', { name: 'Captions', exact: true }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('Undone: 200 files restored.').waitFor();
    expect(await captionsOf(id)).toEqual(original);
  });

  test('continues after the service was unreachable meanwhile', async () => {
    const line = await tcpLinkTo(site.server.url);
    const names = Array.from({ length: 12 }, (_, index) => `n${index}`);
    const id = await datasetOf(Object.fromEntries(names.map((name) => [name, name])));
    const { page } = await open(id, '', { at: line });
    await page.getByLabel('Trigger word').fill('sks');
    let sent = 0;
    await page.route(/\/captions$/, async (route) => {
      if (route.request().method() === 'PUT' && ++sent === 1) await line.goAway();
      await route.continue();
    });
    await page.getByRole('button', { name: 'Change 12 captions' }).click();
    // Other parts of the page may offer a retry as well.
    const job = jobOf(page, 'Prepend “sks” to 12 captions');
    await job.getByText('Could not reach the service').first().waitFor();
    await line.mend();
    await job.getByRole('button', { name: 'Try again', exact: true }).first().click();
    await page.getByText('12 captions changed.').waitFor();
    expect(Object.values(await captionsOf(id))).toEqual(names.toSorted().map((name) => `sks, ${name}`));
    await poll(async () => (await site.api.status(id)).body.status).toBe('READY');
  });

  test('says what to do with an empty dataset', async () => {
    const { page, browserErrors } = await site.open(`/datasets/${await site.api.newDataset()}/captions`);
    await page.getByText('No images or clips yet').waitFor();
    expect(browserErrors).toEqual([]);
  });
});
