import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Role } from '../../src/dataset/dataset.js';
import * as media from '../fixtures/media.js';
import { type Visit, visit } from '../harness/browser.js';
import { describeInBrowser } from '../harness/describe-in-browser.js';
import { folderWith } from '../harness/folder.js';
import { controlsOf, datasetWith, linkDatasets, targetsOf } from './linked-datasets.js';
import { bytesOf, dockOf, FILES, FOLDER, folderOfPairs } from './upload/drop-files.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The violations that axe-core finds on the page, of the impacts `serious` and `critical`. */
async function seriousViolations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run: (options: object) => Promise<{ violations: Violation[] }> };
    };
    const { violations } = await axe.run({ resultTypes: ['violations'] });
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  });
}

const PHONE = { width: 375, height: 667 };

/**
 * Links, buttons and fields that are less than 24 px high or wide (WCAG 2.2, 2.5.8); for fingers, less than 44 px (2.5.5),
 * unless they are in a list, a figure or in text. A box or a radio has its label.
 */
function smallTargets(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const isTouched = matchMedia('(pointer: coarse)').matches;
    const targets = (document.querySelector('dialog[open]') ?? document).querySelectorAll(
      'a[href], button, input, select, textarea, summary',
    );
    return [...targets].flatMap((target) => {
      const isBox = target instanceof HTMLInputElement && ['checkbox', 'radio'].includes(target.type);
      const { width, height } = ((isBox && target.closest('label')) || target).getBoundingClientRect();
      const isInText = getComputedStyle(target).textDecorationLine.includes('underline');
      const least = !isTouched || isInText || target.closest('li, figure, p') !== null ? 24 : 44;
      // What is shown to screen readers only is 1 px high.
      return height > 1 && (height < least || width < least) ? [`${width} x ${height}: ${target.outerHTML}`] : [];
    });
  });
}

/** The buttons that close or submit the dialog, and are not in view when it is scrolled to its start or to its end. */
function hiddenActions(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const dialog = document.querySelector('dialog[open]');
    if (dialog === null) return [];
    const isClose = ({ textContent, ariaLabel }: Element) =>
      /^(Close|Cancel|Done)$/.test(ariaLabel ?? textContent ?? '');
    const actions = [...dialog.querySelectorAll('button')].filter(
      (button) => isClose(button) || button.type === 'submit',
    );
    if (actions.length === 0) throw new Error('The dialog has no button that closes it');
    return [0, dialog.scrollHeight].flatMap((top) => {
      dialog.scrollTo({ top });
      return actions.flatMap((button) => {
        const { left, top, width, height } = button.getBoundingClientRect();
        const isSeen = button.contains(document.elementFromPoint(left + width / 2, top + height - 2));
        return isSeen ? [] : `${button.textContent} at ${top}`;
      });
    });
  });
}

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { html: string }[];
}

describeInBrowser('serious accessibility violations', (site) => {
  const ids = new Map<string, string>();
  let shared: string;
  beforeAll(async () => {
    const { api } = site;
    const [one, two, three] = [await media.jpeg(), await media.jpeg({ seed: 2 }), await media.jpeg({ seed: 3 })];
    const made = async (
      id: string,
      files: Record<string, Buffer | string>,
      options?: { role?: Role; name?: string },
    ) => {
      ids.set(id, await datasetWith(api, files, options));
      return ids.get(id)!;
    };
    const id = await made('all', {
      'one.jpg': one,
      'two.jpg': two,
      'three.jpg': three,
      'page.jpg': media.damaged.html(),
    });
    for (const text of ['a caption, with tags', 'a caption, with a tag']) await api.upload(id, 'one.txt', text);
    await api.upload(id, 'two.txt', ' ');
    await api.upload(id, 'stray.txt', 'a caption without media');
    await made('empty', {}, { name: 'an empty one' });
    await made('filling', {});
    const ready = await made('ready', { 'one.jpg': one, 'one.txt': 'a caption' }, { name: 'one to train on' });
    shared = (await api.json<{ url: string }>('POST', `/${ready}/shares`, { name: 'Ada' })).body.url;
    const copies = { 'one.jpg': one, 'one-copy.jpg': one, 'two.jpg': two, 'two-copy.jpg': two };
    await made('copies', { ...copies, 'one.txt': 'a caption', 'one-copy.txt': 'another' });
    const target = await made('target', await targetsOf(['a', 'b', 'c']));
    const control = await made('control', await controlsOf(['a', 'b', 'extra']), { role: 'control' });
    await api.upload(control, 'b.webp', await media.webp());
    await api.upload(control, 'a.txt', 'a caption that is not used');
    const mask = await made('mask', await controlsOf(['a']), { role: 'mask', name: 'masks' });
    await linkDatasets(api, target, { control_1: control, mask });
    await api.link(await made('interrupted', {}), 'late.jpg', 1000);
    await made('ignored', { 'a.tif': await media.tiff(), 'b.tif': await media.tiff({ seed: 2 }) });
    const webhook = await api.json<{ id: string }>('POST', '/webhooks', { url: 'https://queue.example/trainyard' });
    await api.raw('POST', `/webhooks/${webhook.body.id}/test`);
  });

  type Step = (page: Page) => Promise<unknown>;
  const step = (act: Step): Step => act;
  const text = (words: string | RegExp) => step((page) => page.getByText(words).first().waitFor());
  const click = (name: string) => step((page) => page.getByRole('button', { name, exact: true }).click());
  const fill = (label: string, value: string) => step((page) => page.getByLabel(label, { exact: true }).fill(value));
  const key = (name: string) => step((page) => page.keyboard.press(name));
  const inDialog = (words: string) => step((page) => page.getByRole('dialog').getByText(words).first().waitFor());
  const dialog: Step = (page) => page.getByRole('dialog').waitFor();
  // As after a reload during an upload.
  const interrupt: Step = async (page) => {
    const unfinished = JSON.stringify([idOf('interrupted')]);
    await page.evaluate((value) => sessionStorage.setItem('trainyard-unfinished-uploads', value), unfinished);
    await page.reload();
  };
  const deliveries: Step = (page) => page.getByRole('list', { name: /^Last deliveries to/ }).waitFor();
  const links: Step = (page) => page.getByRole('list', { name: 'Links to this dataset' }).waitFor();
  const idOf = (name: string) => ids.get(name) ?? name;

  type View = readonly [name: string, path: string, ...steps: Step[]];

  /** Each page once, with what opens on it. The first word of a path names a dataset. */
  const PAGES: readonly View[] = [
    ['datasets', '', text('an empty one')],
    ['the guide', 'guide/page', text('Fit to train?')],
    ['selected files', 'all', (page) => page.getByLabel('Select one.jpg').check(), click('Delete'), dialog],
    ['the crop of a file', 'all?view=two.jpg', text('SHA-256'), key('b'), inDialog('Trained on at')],
    ['controls and masks', 'target', text('No mask')],
    ['a comparison', 'target', click('Compare with the mask a.png'), text('mask a.png of masks')],
    ['an empty dataset', 'empty', text('No files yet')],
    [
      'a tree of folders',
      'filling',
      async (page) => {
        const files = { 'a.txt': '1', 'extra/a.txt': '2', '10_cat/b.txt': '3', 'notes.docx': 'x' };
        const folder = await folderWith(files, 'evening');
        await page.locator(FOLDER).first().setInputFiles(folder);
      },
      (page) =>
        page
          .getByRole('group', { name: /10_cat/ })
          .getByText('Own dataset')
          .click(),
      inDialog('1 name stands more than once'),
    ],
    // The size stays for the views after these.
    ['pictures beside their captions', 'all', text('one.jpg'), key('+'), key('+'), key('ArrowRight'), key('e')],
    ['the menu of a dataset', 'all', click('More'), text('API documentation')],
    ['the palette', 'all', text('one.jpg'), key('Control+k'), fill('Name', 'one')],
    ['history', 'all/history', text('Revision 1')],
    ['a revision', 'all/history?revision=2', (page) => page.getByRole('deletion').first().waitFor()],
    ['fitness', 'all/fitness', text('needs a caption')],
    ['fitness of pairs', 'target/fitness', text('Choose a file')],
    ['duplicates', 'copies/duplicates?group=one.jpg', text('The captions differ')],
    ['training', 'ready/train', text('Install the command')],
    ['the account', 'account', text('this browser'), text('for Ada'), text('Storage'), deliveries],
    ['sharing a dataset', 'empty', click('More'), click('Share the dataset'), click('Create a link'), links],
    ['a shared dataset', '', (page) => page.goto(shared), text('a caption')],
    ['the sign-in page', 'account', click('Sign out'), (page) => page.getByLabel('Token', { exact: true }).waitFor()],
  ];

  /** More dialogs and panels. */
  const PARTS: readonly View[] = [
    ['creating a dataset', '', click('New dataset'), fill('Name', 'a/b'), inDialog('contains "/"')],
    ['deleting a dataset', '', click('More for an empty one'), click('Delete'), dialog],
    ['a wrong link', 'nothing', text('Page not found')],
    ['pictures side by side', 'all?view=one.jpg&view=two.jpg', inDialog('two.jpg')],
    [
      'links of a dataset',
      'target',
      click('More'),
      click('Controls and mask'),
      inDialog('No mask for 2 targets'),
      (page) => page.getByLabel('Control 2').selectOption({ label: 'one to train on' }),
      inDialog('Make it a control dataset'),
    ],
    [
      'the name and role of a dataset',
      'target',
      click('More'),
      click('Name and role'),
      (page) => page.getByRole('dialog').getByText('Mask', { exact: true }).click(),
      inDialog('will not be used'),
    ],
    [
      'uploads',
      'filling',
      (page) => page.locator(FILES).setInputFiles([bytesOf('page.jpg', media.damaged.html())]),
      (page) => dockOf(page).getByText('1 rejected:').waitFor(),
    ],
    [
      'tags that complete a caption',
      'target',
      (page) => page.getByRole('list', { name: 'Tags' }).getByText('a wagon at b').waitFor(),
      (page) => page.getByLabel('Caption of a.jpg').press('End'),
      (page) => page.keyboard.type(', wa'),
      (page) => page.getByRole('option', { name: 'a wagon at b' }).waitFor(),
      key('ArrowDown'),
    ],
    ['all keys', 'all', text('one.jpg'), key('?'), inDialog('Write the caption')],
    ['changes to many captions', 'all', fill('Trigger word', 'sks'), text(/\d changes to/)],
    ['restoring a revision', 'all/history?revision=1', click('Restore'), inDialog('changes:')],
    ['images that can be converted', 'ignored/fitness', click('Convert all 2'), text("browser can't decode")],
    ['an interrupted upload', 'interrupted/fitness', interrupt, text('Interrupted: 1 file'), text('Their names')],
    [
      'a folder of pairs',
      '',
      async (page) => {
        const pairs = { target: await targetsOf(['a', 'b']), control: await controlsOf(['a', 'c']) };
        await page.locator(FOLDER).setInputFiles(await folderOfPairs(pairs, 'pairs'));
      },
      inDialog('No control for'),
    ],
    ['a new token', 'account', click('New token'), click('Create token'), text('The new token')],
    [
      'a new webhook',
      'account',
      click('New webhook'),
      fill('URL', 'https://10.0.0.1/'),
      click('Create webhook'),
      inDialog('not a host of the public Internet'),
    ],
    ['a share link that has ended', 'shared', text('This link no longer works')],
  ];

  const pathOf = (path: string) => {
    if (path === '' || /^(account|guide|nothing)/.test(path)) return `/${path}`;
    const [, name = '', rest = ''] = /^(\w+)(.*)$/.exec(path) ?? [];
    return name === 'shared' ? `/shared/datasets/${idOf('ready')}` : `/datasets/${idOf(name)}${rest}`;
  };

  let visited: Visit;
  let touch: (enabled: boolean) => Promise<unknown>;
  beforeAll(async () => {
    visited = await visit(site.browser, site.server, { token: site.api.token });
    const devtools = await visited.context.newCDPSession(visited.page);
    touch = (enabled) => devtools.send('Emulation.setTouchEmulationEnabled', { enabled });
  });
  afterAll(() => visited?.context.close());

  const alternating = (views: readonly View[]) =>
    views.map((view, index) => ({ name: view[0], view, theme: index % 2 === 1 ? 'dark' : 'light' }) as const);
  const check = async ({ view: [, path, ...steps], theme }: ReturnType<typeof alternating>[number]) => {
    const { page, browserErrors } = visited;
    await touch(false);
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goto(site.server.url + pathOf(path));
    for (const act of steps) await act(page);
    await expect.poll(() => page.locator('html').getAttribute('data-theme')).toBe(theme);
    expect(await seriousViolations(page)).toEqual([]);
    await page.setViewportSize(PHONE);
    // A grid lays out its cards a frame after the width has changed.
    await expect.poll(() => smallTargets(page)).toEqual([]);
    await touch(true);
    await page.waitForFunction(() => matchMedia('(pointer: coarse)').matches);
    await expect.poll(() => smallTargets(page)).toEqual([]);
    expect(await hiddenActions(page)).toEqual([]);
    const width = () => page.evaluate(() => document.documentElement.scrollWidth);
    await expect.poll(width).toBeLessThanOrEqual(PHONE.width);
    expect(browserErrors).toEqual([]);
  };
  test.each(alternating(PARTS))('are none with $name, $theme, which fits a phone', { tags: ['long'] }, check);
  // The last of these signs out.
  test.each(alternating(PAGES))('are none with $name, $theme, which fits a phone', check);
});
