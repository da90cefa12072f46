import type { Page } from 'playwright-core';
import { afterAll, beforeEach, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { type DialectServer, type Mode, startDialectServer } from '../../harness/dialect-server.js';
import { startServer } from '../../harness/server.js';
import { openDataset } from '../linked-datasets.js';
import { boxOf, cardOf, chooseMore, filterOf, namesOf, searchOf, soon } from '../pairs/pairs-page.js';

let model: DialectServer;

const start = async () => {
  model = await startDialectServer('llama.cpp');
  return startServer({ 'caption-endpoint': `local=${model.setting}`, 'caption-grace-seconds': 0 });
};

const messageOf = (page: Page) => page.getByRole('region', { name: 'Captions by a model' });
const heading = (page: Page, name: string) => page.getByRole('heading', { name, exact: true });
const part = (page: Page, name: string) => page.getByRole('region', { name, exact: true });

describeInBrowser('captions by a model', { start }, (site) => {
  afterAll(() => model.close());
  beforeEach(() => {
    let written = 0;
    // A picture is asked about once.
    Object.assign(model, { mode: 'writes a caption', caption: () => `a red wagon, number ${++written}` });
  });

  let seed = 0;
  const openWith = async (captions: Record<string, string | undefined>, path = '') => {
    const files: Record<string, Buffer | string> = {};
    for (const [stem, text] of Object.entries(captions)) {
      files[`${stem}.jpg`] = await media.jpeg({ seed: ++seed });
      if (text !== undefined) files[`${stem}.txt`] = text;
    }
    const { api, open } = await site.newAccount();
    return { api, ...(await openDataset({ api, open }, files, path)) };
  };
  /** The state of the last run. */
  const stateOf = async (api: Api, id: string) => {
    const { body } = await api.request<{ runs: { state: string }[] }>('GET', `/${id}/caption-runs`);
    return body.runs[0]?.state;
  };
  const caption = async (api: Api, id: string, request: object) => {
    await api.json('POST', `/${id}/caption-runs`, request);
    await soon(() => stateOf(api, id)).toBe('done');
  };
  /** A dataset whose captions have a proposal each. */
  const openProposals = async (captions: Record<string, string>) => {
    const opened = await openWith(captions);
    await caption(opened.api, opened.id, { files: 'all', prompt: 'Describe {name}.' });
    await opened.page.reload();
    return opened;
  };

  test('are written for pictures without one: after a test and the counts, over a reload, until they are stopped', async () => {
    const { page, api, id } = await openWith({ a: 'my own words', b: undefined, c: undefined, d: undefined });
    let answer = (_: Mode) => {};
    model.mode = (_, index) => (index < 2 ? 'writes a caption' : new Promise<Mode>((resolve) => (answer = resolve)));
    model.asked.length = 0;
    await filterOf(page, 'No caption').click();
    await page.getByRole('button', { name: 'Caption with a model …' }).click();
    const dialog = page.getByRole('dialog', { name: 'Caption 3 selected pairs with a model' });
    await dialog.getByRole('button', { name: 'Test', exact: true }).click();
    await dialog.getByText('It wrote of a red square: “a red wagon, number 1”').waitFor();
    await dialog.getByText('3 without a caption.', { exact: true }).waitFor();
    await dialog.getByLabel('Trigger word').fill('p3nny');
    await dialog.getByRole('button', { name: 'Caption 3 files' }).click();
    await soon(() => messageOf(page).textContent()).toContain('test-vl captions 1 of 3 files');
    await page.reload();
    await soon(() => messageOf(page).textContent()).toContain('test-vl captions 1 of 3 files');
    await messageOf(page).getByRole('button', { name: 'Stop' }).click();
    await soon(() => stateOf(api, id)).not.toBe('running');
    answer('writes a caption');
    await soon(() => messageOf(page).textContent()).toMatch(/test-vl was stopped at \d of 3 files/);
    // The pictures are prepared at once, so that any may be the first.
    const first = (await api.filenames(id)).find((name) => /[b-d]\.txt/.test(name));
    expect(await api.text(id, first!)).toMatch(/^p3nny, a red wagon, number \d$/);
    expect(await api.text(id, 'a.txt')).toBe('my own words');
    model.mode = 'writes a caption';
    await api.upload(id, 'a.txt', 'my other words');
    await messageOf(page).getByRole('button', { name: 'Resume' }).click();
    await soon(() => api.filenames(id)).toContain('d.txt');
    await page.getByRole('region', { name: 'Last change' }).getByRole('button', { name: 'Undo' }).click();
    await soon(async () => (await api.filenames(id)).filter((name) => name.endsWith('.txt'))).toEqual(['a.txt']);
  });

  test('are asked for with a prompt that the account saves, uses again and deletes', { tags: ['long'] }, async () => {
    const { page } = await openWith({ a: undefined });
    await filterOf(page, 'No caption').click();
    const ask = async () => {
      await page.getByRole('button', { name: 'Caption with a model …' }).click();
      return page.getByRole('dialog', { name: 'Caption 1 selected pair with a model' });
    };
    let dialog = await ask();
    await dialog.getByLabel('Prompt', { exact: true }).selectOption('My own prompt');
    await dialog.getByLabel('My own prompt').fill('Name the colours of {name}.');
    await dialog.getByLabel('Name, to use it again').fill('sentence');
    await dialog.getByRole('button', { name: 'Save the prompt' }).click();
    await dialog.getByRole('alert').getByText('is built in').waitFor();
    await dialog.getByLabel('Name, to use it again').fill('Colours');
    await dialog.getByRole('button', { name: 'Save the prompt' }).click();
    await dialog.getByRole('button', { name: 'Delete this prompt' }).waitFor();
    await page.reload();
    dialog = await ask();
    await dialog.getByLabel('Prompt', { exact: true }).selectOption('Colours');
    await soon(() => dialog.getByLabel('The prompt of this preset').inputValue()).toBe('Name the colours of {name}.');
    model.asked.length = 0;
    await dialog.getByRole('button', { name: 'Caption 1 file' }).click();
    await soon(() => model.asked[0]?.prompt).toContain('Name the colours of a.');
    await page.getByRole('button', { name: 'More', exact: true }).click();
    await page.getByRole('button', { name: 'Caption with a model …' }).first().click();
    dialog = page.getByRole('dialog', { name: /^Caption .* with a model$/ });
    await dialog.getByRole('button', { name: 'Delete this prompt' }).click();
    await dialog.getByRole('button', { name: 'Delete this prompt' }).waitFor({ state: 'detached' });
  });

  test('are proposals where a caption stands, and reviewed with keys, all of it undone at once', async () => {
    model.mode = ({ prompt }) => (prompt === 'Describe f.' ? 'is cut off' : 'writes a caption');
    const { page, api, id } = await openProposals({ a: '1', b: '2', c: '3', d: 'a depot', e: '5', f: '6' });
    await messageOf(page).getByRole('link', { name: 'Review 6 proposals' }).waitFor();
    await page.getByRole('link', { name: 'Proposals 6' }).waitFor();
    await searchOf(page).fill('has:proposal by:me -name:b');
    await soon(() => namesOf(page)).toEqual(['a.jpg', 'c.jpg', 'd.jpg', 'e.jpg', 'f.jpg']);
    await cardOf(page, 'd.jpg').getByRole('link', { name: 'Review the proposal for d.jpg' }).click();
    await heading(page, 'd.jpg').waitFor();
    await part(page, 'Caption').locator('del', { hasText: 'depot' }).waitFor();
    await part(page, 'Proposal').locator('ins', { hasText: 'red' }).first().waitFor();

    await page.goto(`${site.server.url}/datasets/${id}`);
    await cardOf(page, 'a.jpg').waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('p');
    await heading(page, 'Proposal 1 of 6').waitFor();
    await page.keyboard.press('e');
    const edited = page.getByRole('textbox', { name: 'Proposal' });
    await edited.fill('a text that stays');
    await page.getByRole('link', { name: 'Workbench', exact: true }).click();
    await cardOf(page, 'a.jpg').waitFor();
    await caption(api, id, { files: 'all', filenames: ['a.jpg'], seed: 2 });
    await page.goBack();
    await soon(() => edited.inputValue()).toBe('a text that stays');
    const asksBeforeReload = () => page.evaluate(() => !dispatchEvent(new Event('beforeunload', { cancelable: true })));
    expect(await asksBeforeReload()).toBe(true);
    await page.getByRole('button', { name: 'Cancel' }).click();
    expect(await asksBeforeReload()).toBe(false);
    await page.keyboard.press('j');
    await heading(page, 'b.jpg').waitFor();
    await page.keyboard.press('k');
    await heading(page, 'a.jpg').waitFor();
    await page.keyboard.press('a');
    await heading(page, 'b.jpg').waitFor();
    await page.keyboard.press('k');
    await page.getByRole('status').getByText('Accepted.').waitFor();
    await part(page, 'Caption').locator('ins, del').waitFor({ state: 'detached' });
    expect(await page.getByText('The caption was changed since the model was asked.').count()).toBe(0);
    await page.keyboard.press('j');
    await page.keyboard.press('e');
    await edited.fill('a wagon that I know');
    await heading(page, 'b.jpg').click();
    await page.keyboard.press('j');
    await heading(page, 'c.jpg').waitFor();
    await page.keyboard.press('k');
    await heading(page, 'b.jpg').waitFor();
    await page.keyboard.press('a');
    await heading(page, 'c.jpg').waitFor();
    await page.keyboard.press('d');
    await heading(page, 'd.jpg').waitFor();
    await page.getByRole('button', { name: 'Accept all 2' }).waitFor();
    await api.upload(id, 'e.txt', 'theirs');
    await page.getByText('2 cut off, outdated or edited: to be looked at').waitFor();
    await page.route(
      /\/caption-proposals$/,
      (route) => api.upload(id, 'd.txt', 'a new depot').then(() => route.continue()),
      { times: 1 },
    );
    await page.keyboard.press('Shift+A');
    await page.getByRole('alert').getByText('The caption was changed meanwhile. Look at it again.').waitFor();
    await part(page, 'Caption').getByText('new').waitFor();
    await page.keyboard.press('e');
    await page.keyboard.press('Control+Enter');
    for (const name of ['e.jpg', 'f.jpg']) {
      await heading(page, name).waitFor();
      await page.keyboard.press('d');
    }
    await page.getByText('6 proposals decided.').waitFor();
    const texts = async () => Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((stem) => api.text(id, `${stem}.txt`)));
    const byModel = expect.stringMatching(/^a red wagon/);
    await soon(texts).toEqual([byModel, 'a wagon that I know', '3', byModel, 'theirs', '6']);
    await page.getByText('3 proposals accepted.').waitFor();
    expect(await asksBeforeReload()).toBe(false);
    const lastChange = page.getByRole('region', { name: 'Last change' });
    await lastChange.getByRole('button', { name: 'Undo' }).click();
    await soon(texts).toEqual(['1', '2', '3', 'a new depot', 'theirs', '6']);
    await page.getByRole('link', { name: 'Go to the workbench' }).click();
    await searchOf(page).waitFor();
    await lastChange.getByRole('button', { name: 'Redo' }).click();
    await soon(texts).toEqual([byModel, 'a wagon that I know', '3', byModel, 'theirs', '6']);
    await searchOf(page).fill('by:model');
    await soon(() => namesOf(page)).toEqual(['a.jpg', 'd.jpg']);
  });

  test('stop by themselves where the model fails for all, and say why and for which pictures', async () => {
    const none = { a: undefined, b: undefined, c: undefined, d: undefined, f: undefined };
    const { page, api, id } = await openWith({ ...none, e: 'words' });
    model.asked.length = 0;
    model.mode = (_, index) => (index === 0 ? 'is cut off' : "can't see");
    await boxOf(page, 'a.jpg').check();
    await page.getByRole('checkbox', { name: 'Select all' }).check();
    await page.getByRole('button', { name: 'Caption', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Caption 6 selected pairs with a model' });
    await dialog.getByText('5 without a caption, 1 by you: your 1 stays.').waitFor();
    await dialog.getByRole('button', { name: 'Caption 5 files' }).click();
    await messageOf(page).getByText("can't see pictures").first().waitFor();
    await messageOf(page)
      .getByText(/files? without an answer/)
      .click();
    const failed = messageOf(page).getByRole('link', { name: /^[a-f]\.jpg$/ });
    await soon(() => failed.count()).toBe(3);
    model.mode = 'writes a caption';
    await caption(api, id, { filenames: ['d.jpg'] });
    await page.reload();
    await messageOf(page).getByText('test-vl was stopped at 4 of 5 files').waitFor();
    await messageOf(page).getByRole('button', { name: 'Dismiss the run' }).click();
    await messageOf(page).waitFor({ state: 'detached' });
    await chooseMore(page, 'Caption with a model …');
    await page.getByText('2 runs until now').click();
    await soon(() => page.getByRole('list', { name: 'Runs' }).textContent()).toContain(
      'sentence: 1 waiting, 1 proposed, 3 failed',
    );
  });
});

describeInBrowser('a service without a model', (site) => {
  test('says how its operator adds one', async () => {
    const { page } = await openDataset(site, { 'a.jpg': await media.jpeg() });
    await chooseMore(page, 'Caption with a model …');
    const dialog = page.getByRole('dialog', { name: 'Caption with a model' });
    await dialog.getByText('--caption-endpoint NAME=URL').waitFor();
    await dialog.getByRole('link', { name: 'how to add a model' }).click();
    await page.waitForURL(/\/guide\/captions$/);
  });
});
