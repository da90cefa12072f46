import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { visit } from '../../test/harness/browser.js';
import type { Api } from '../../test/harness/api.js';
import type { TestServer } from '../../test/harness/server.js';
import { type Row, rowWithTarget } from '../table.js';

const WRITTEN = 10;
const TAGGED = 50;
const GROUPS = 16;

/** An evening's work of a person, with the key presses and clicks that it may take. What is typed is not counted. */
export const KEY_FIGURES = [
  { what: `${WRITTEN} captions written`, limit: 1 + WRITTEN },
  { what: 'a tag renamed everywhere', limit: 2 },
  { what: `a tag added to ${TAGGED} pairs`, limit: 3 },
  { what: `${GROUPS} groups of duplicates resolved`, limit: 20 },
] as const;

type Task = (typeof KEY_FIGURES)[number]['what'];

/** A page whose presses are counted. */
interface Hands {
  readonly page: Page;
  presses: number;
}

/** Does each task on a dataset, and counts. Fails if a task has not done what it should. */
export async function keyRows(browser: Browser, server: TestServer): Promise<Row[]> {
  const api = await server.api('keys');
  const pictures = await Promise.all(Array.from({ length: TAGGED }, (_, index) => picture(index)));
  const id = await api.newDataset('evening');
  for (const [index, bytes] of pictures.entries()) {
    await api.upload(id, `${nameOf(index)}.jpg`, bytes);
    if (index >= WRITTEN) await api.upload(id, `${nameOf(index)}.txt`, 'a signal, rails');
    if (index < GROUPS) await api.upload(id, `copy-${nameOf(index)}.jpg`, await smaller(bytes));
  }
  const { page, context } = await visit(browser, server, { token: api.token, path: `/datasets/${id}` });
  const hands: Hands = { page, presses: 0 };
  const tasks: Record<Task, () => Promise<void>> = {
    '10 captions written': () => write(hands, id),
    'a tag renamed everywhere': () => rename(hands, api, id),
    'a tag added to 50 pairs': () => tag(hands, api, id),
    '16 groups of duplicates resolved': () => resolveGroups(hands, api, id),
  };
  const rows: Row[] = [];
  for (const { what, limit } of KEY_FIGURES) {
    hands.presses = 0;
    await tasks[what]();
    const measured = `${hands.presses} keys and clicks`;
    rows.push(
      rowWithTarget({ what, measured, reference: `limit ${limit}`, ratio: hands.presses / limit }, { atMost: 1 }),
    );
  }
  await context.close();
  return rows;
}

/** A picture of random patches, unlike that of any other seed. */
async function picture(seed: number): Promise<Buffer> {
  const patches = createHash('shake256', { outputLength: 8 * 8 * 3 })
    .update(String(seed))
    .digest();
  return sharp(patches, { raw: { width: 8, height: 8, channels: 3 } })
    .resize(640, 640)
    .jpeg()
    .toBuffer();
}

const smaller = (bytes: Buffer) => sharp(bytes).resize(512).jpeg().toBuffer();

const nameOf = (index: number) => `yard-${String(index).padStart(2, '0')}`;

async function press(hands: Hands, key: string): Promise<void> {
  hands.presses++;
  await hands.page.keyboard.press(key);
}

/** Waits until the service has what a task should have done. */
async function until(isDone: () => Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  while (!(await isDone())) {
    if (Date.now() > giveUpAt) throw new Error(`not after a minute: ${isDone}`);
    await wait(50);
  }
}

async function captionsOf(api: Api, id: string, part: string): Promise<number> {
  const { files } = (await api.status(id)).body;
  const names = files.filter(({ kind }) => kind === 'caption').map(({ filename }) => filename);
  const texts = await Promise.all(names.map((name) => api.text(id, name)));
  return texts.filter((text) => text.includes(part)).length;
}

async function write(hands: Hands, id: string): Promise<void> {
  const { page } = hands;
  await page.goto(`${new URL(page.url()).origin}/datasets/${id}?filter=missing`);
  hands.presses++;
  await page.getByRole('textbox', { name: 'Caption of copy-yard-00.jpg' }).click();
  for (let index = 0; index < WRITTEN; index++) {
    await page
      .getByRole('textbox', { name: `Caption of copy-${nameOf(index)}.jpg` })
      .and(page.locator(':focus'))
      .waitFor();
    await page.keyboard.type(`a wagon, number ${index}`);
    await press(hands, 'Control+Enter');
  }
  await page.getByText(`${WRITTEN} of `).waitFor();
}

async function rename(hands: Hands, api: Api, id: string): Promise<void> {
  const { page } = hands;
  await page.goto(`${new URL(page.url()).origin}/datasets/${id}`);
  await page.getByRole('button', { name: /^rails/ }).focus();
  await press(hands, 'F2');
  await page.getByRole('textbox', { name: 'New text of the tag rails' }).and(page.locator(':focus')).waitFor();
  await page.keyboard.type('track');
  await press(hands, 'Enter');
  await until(async () => (await captionsOf(api, id, 'track')) === TAGGED - WRITTEN);
}

async function tag(hands: Hands, api: Api, id: string): Promise<void> {
  const { page } = hands;
  await page.goto(`${new URL(page.url()).origin}/datasets/${id}?q=${encodeURIComponent('name:yard -name:copy')}`);
  await page.getByText(`${TAGGED} pairs`).waitFor();
  await page.getByRole('article').first().waitFor();
  await press(hands, 'Control+a');
  await press(hands, 't');
  await page.getByLabel('Tag', { exact: true }).and(page.locator(':focus')).waitFor();
  await page.keyboard.type('evening');
  await press(hands, 'Enter');
  await until(async () => (await captionsOf(api, id, 'evening')) === TAGGED);
}

async function resolveGroups(hands: Hands, api: Api, id: string): Promise<void> {
  const { page } = hands;
  await until(async () => {
    const { body } = await api.request<{ groups: unknown[]; pending: number }>('GET', `/${id}/duplicates`);
    return body.pending === 0 && body.groups.length === GROUPS;
  });
  await press(hands, 'g');
  await press(hands, 'd');
  for (let left = GROUPS; left > 0; left--) {
    await page.getByRole('heading', { name: `Group 1 of ${left}`, exact: true }).waitFor();
    await press(hands, 'Enter');
  }
  await page.getByText('No duplicates are left to decide.').waitFor();
  await until(async () =>
    (await api.filenames(id)).every((name) => !name.startsWith('copy-') || name.endsWith('.txt')),
  );
}
