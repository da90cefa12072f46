import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { visit } from '../harness/browser.js';
import { describeInBrowser } from '../harness/describe-in-browser.js';
import { controlsOf, datasetOfRole, datasetWith, linkDatasets, targetsOf } from './linked-datasets.js';
import { bytesOf, dockOf, FILES, FOLDER } from './upload/drop-files.js';
import { folderOfPairs } from './upload/folder-of-pairs.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The violations that axe-core finds on the page, of the impacts `serious` and `critical`. */
async function seriousViolations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: () => Promise<{ violations: Violation[] }> } };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  });
}

/** Changes the theme of the system. Colours that fade would be measured halfway, so this waits for their end. */
async function turnDark(page: Page): Promise<void> {
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.locator('html[data-theme="dark"]').waitFor({ state: 'attached' });
  await page.evaluate(async () => {
    const transitions = document.getAnimations().filter((animation) => animation instanceof CSSTransition);
    await Promise.allSettled(transitions.map(({ finished }) => finished));
  });
}

const PHONE = { width: 375, height: 667 };

/** The page is touched with a finger from now on, as the media query `pointer: coarse` says. */
async function turnToTouch(page: Page): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Emulation.setTouchEmulationEnabled', { enabled: true });
  await page.waitForFunction(() => matchMedia('(pointer: coarse)').matches);
}

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
  let id: string;
  let empty: string;
  let filling: string;
  let ready: string;
  let interrupted: string;
  let shared: string;
  let linked: string;
  let unfit: string;
  let target: string;
  let control: string;
  let ignored: string;
  beforeAll(async () => {
    const { api } = site;
    id = await api.newDataset('a dataset with everything');
    for (const name of ['one', 'two', 'three']) await api.upload(id, `${name}.jpg`, await media.jpeg());
    await api.upload(id, 'one.txt', 'a caption, with tags');
    await api.upload(id, 'two.txt', ' ');
    await api.upload(id, 'stray.txt', 'a caption without media');
    await api.upload(id, 'one.txt', 'a caption, with a tag');
    await api.upload(id, 'page.jpg', media.damaged.html());
    empty = await api.newDataset('an empty one');
    filling = await api.newDataset('one that is filled');
    ready = await api.newDataset('one to train on');
    await api.upload(ready, 'one.jpg', await media.jpeg());
    await api.upload(ready, 'one.txt', 'a caption');
    shared = (await api.json<{ url: string }>('POST', `/${ready}/shares`, { name: 'Ada' })).body.url;
    target = await datasetOfRole(api, 'targets', 'training', ['a', 'b']);
    control = await datasetOfRole(api, 'controls', 'control', ['a', 'b']);
    await api.upload(control, 'a.txt', 'a caption that is not used');
    await linkDatasets(api, target, { control_1: control, mask: await datasetOfRole(api, 'masks', 'mask', ['a']) });
    interrupted = await api.newDataset('one that waits');
    await api.link(interrupted, 'late.jpg', 1000);
    linked = await datasetWith(api, await targetsOf(['a', 'b', 'c']), { name: 'one with controls' });
    unfit = await datasetWith(api, await controlsOf(['a', 'b', 'extra']), { role: 'control' });
    await api.upload(unfit, 'b.webp', await media.webp());
    await linkDatasets(api, linked, { control_1: unfit });
    const webhook = await api.json<{ id: string }>('POST', '/webhooks', { url: 'https://queue.example/trainyard' });
    await api.raw('POST', `/webhooks/${webhook.body.id}/test`);
    ignored = await datasetWith(api, { 'a.tif': await media.tiff(), 'b.tif': await media.tiff({ seed: 2 }) });
  });

  const text = (words: string) => (page: Page) => page.getByText(words).first().waitFor();

  /** Every page, and every dialog and panel that opens on it. */
  const PAGES: readonly { name: string; path: () => string; open: (page: Page) => Promise<void> }[] = [
    { name: 'datasets', path: () => '/', open: text('an empty one') },
    {
      name: 'creating a dataset',
      path: () => '/',
      open: async (page) => {
        await page.getByRole('button', { name: 'New dataset' }).click();
        await page.getByLabel('Name', { exact: true }).fill('a/b');
        await page.getByText('contains "/"').waitFor();
      },
    },
    {
      name: 'deleting a dataset',
      path: () => '/',
      open: async (page) => {
        await page.getByRole('button', { name: 'Delete an empty one' }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    { name: 'files', path: () => `/datasets/${id}`, open: text('one.jpg') },
    {
      name: 'selected files',
      path: () => `/datasets/${id}`,
      open: async (page) => {
        await page.getByLabel('Select one.jpg').check();
        await page.getByRole('button', { name: 'Delete', exact: true }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    {
      name: 'a file in full',
      path: () => `/datasets/${id}`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Open two.jpg' }).click();
        await page.getByRole('dialog').getByText('SHA-256').waitFor();
      },
    },
    { name: 'controls and masks', path: () => `/datasets/${target}`, open: text('No mask') },
    { name: 'a control dataset', path: () => `/datasets/${control}`, open: text('Unused caption') },
    ...(['Side by side', 'Slider', 'Overlay'] as const).map((view) => ({
      name: `a comparison: ${view}`,
      path: () => `/datasets/${target}`,
      open: async (page: Page) => {
        await page.getByRole('button', { name: 'Compare with the mask a.jpg' }).click();
        await page.getByRole('button', { name: view }).click();
        await page.getByRole('dialog').getByText('mask a.jpg of masks').first().waitFor();
      },
    })),
    {
      name: 'a comparison with a missing mask',
      path: () => `/datasets/${target}`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Open b.jpg' }).click();
        await page.keyboard.press('m');
        await page.getByText('The mask is missing.').waitFor();
      },
    },
    {
      name: 'links of a dataset',
      path: () => `/datasets/${target}`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Controls and mask' }).click();
        await page.getByRole('dialog').getByText('No mask for 1 target').waitFor();
        await page.getByLabel('Control 2').selectOption({ label: 'one to train on' });
        await page.getByRole('button', { name: 'Make it a control dataset' }).waitFor();
      },
    },
    {
      name: 'the name and role of a dataset',
      path: () => `/datasets/${target}`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Name and role' }).click();
        await page.getByRole('dialog').getByText('Mask', { exact: true }).click();
        await page.getByText('will not be used').waitFor();
      },
    },
    {
      name: 'the deletion of a control that is used',
      path: () => `/datasets/${control}`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Delete the dataset' }).click();
        await page.getByRole('dialog', { name: 'This dataset is used' }).waitFor();
      },
    },
    { name: 'rejected uploads', path: () => `/datasets/${id}?filter=rejected`, open: text('page.jpg') },
    { name: 'an empty dataset', path: () => `/datasets/${empty}`, open: text('No files yet') },
    {
      name: 'a question about files',
      path: () => `/datasets/${filling}`,
      open: async (page) => {
        await page.locator(FILES).setInputFiles([bytesOf('a.txt', 'a caption'), bytesOf('a.psd', 'no image')]);
        await page.getByRole('dialog').getByText('a.psd').first().waitFor();
      },
    },
    {
      name: 'uploads',
      path: () => `/datasets/${filling}`,
      open: async (page) => {
        await page.locator(FILES).setInputFiles([bytesOf('page.jpg', media.damaged.html())]);
        await dockOf(page).getByText('1 file could not be uploaded').waitFor();
      },
    },
    { name: 'captions', path: () => `/datasets/${id}/captions`, open: text('a caption without media') },
    {
      name: 'changes to many captions',
      path: () => `/datasets/${id}/captions`,
      open: async (page) => {
        await page.getByLabel('Trigger word').fill('sks');
        await page.getByText(/\d changes to/).waitFor();
      },
    },
    { name: 'history', path: () => `/datasets/${id}/history`, open: text('Revision 1') },
    {
      name: 'a revision',
      path: () => `/datasets/${id}/history?revision=2`,
      open: async (page) => {
        await page.getByRole('list', { name: 'Differences' }).getByRole('deletion').first().waitFor();
      },
    },
    {
      name: 'all files of a revision',
      path: () => `/datasets/${id}/history?revision=1&show=files`,
      open: text('a caption without media'),
    },
    {
      name: 'restoring a revision',
      path: () => `/datasets/${id}/history?revision=1`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Restore' }).click();
        await page.getByRole('dialog').getByText('changes:').waitFor();
      },
    },
    {
      name: 'a deletion that can be undone',
      path: () => `/datasets/${id}?file=stray.txt`,
      open: async (page) => {
        await site.api.upload(id, 'gone.txt', 'a caption that is deleted');
        await page.getByLabel('Select gone.txt').check();
        await page.getByRole('button', { name: 'Delete', exact: true }).click();
        await page.getByRole('dialog').getByRole('button', { name: 'Delete 1 file' }).click();
        await page.getByRole('region', { name: 'Last change' }).getByRole('button', { name: 'Undo' }).waitFor();
      },
    },
    { name: 'fitness', path: () => `/datasets/${id}/fitness`, open: text('needs a caption') },
    { name: 'fitness of pairs', path: () => `/datasets/${linked}/fitness`, open: text('Choose a file') },
    { name: 'fitness of controls', path: () => `/datasets/${unfit}/fitness`, open: text('Used by') },
    {
      name: 'a folder of pairs',
      path: () => '/',
      open: async (page) => {
        const folder = await folderOfPairs(
          { target: await targetsOf(['a', 'b']), control: await controlsOf(['a', 'c']) },
          'pairs',
        );
        await page.locator(FOLDER).setInputFiles(folder);
        await page.getByRole('dialog').getByText('No control for 1 target').waitFor();
      },
    },
    {
      name: 'a folder of pairs for a dataset',
      path: () => `/datasets/${linked}`,
      open: async (page) => {
        const folder = await folderOfPairs(
          { target: { 'a.txt': 'another' }, control: await controlsOf(['a', 'c']) },
          'pairs',
        );
        await page.locator(FOLDER).setInputFiles(folder);
        await page.getByRole('dialog').getByRole('button', { name: 'Skip existing files' }).waitFor();
      },
    },
    { name: 'training', path: () => `/datasets/${ready}/fitness`, open: text('Install the command') },
    {
      name: 'the account',
      path: () => '/account',
      open: async (page) => {
        await page.getByText('this browser').waitFor();
        await page.getByRole('list', { name: /^Last deliveries to/ }).waitFor();
        await page.getByText('for Ada').waitFor();
        await page.getByRole('region', { name: 'Storage' }).waitFor();
      },
    },
    {
      name: 'a new token',
      path: () => '/account',
      open: async (page) => {
        await page.getByRole('button', { name: 'New token' }).click();
        await page.getByRole('button', { name: 'Create token' }).click();
        await page.getByRole('dialog', { name: 'The new token' }).waitFor();
      },
    },
    {
      name: 'a new webhook',
      path: () => '/account',
      open: async (page) => {
        await page.getByRole('button', { name: 'New webhook' }).click();
        await page.getByLabel('URL').fill('https://10.0.0.1/');
        await page.getByRole('button', { name: 'Create webhook' }).click();
        await page.getByRole('alert').filter({ hasText: 'not a host of the public Internet' }).waitFor();
      },
    },
    {
      name: 'deleting a webhook',
      path: () => '/account',
      open: async (page) => {
        await page.getByRole('button', { name: /^Delete https/ }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    {
      name: 'images that can be converted',
      path: () => `/datasets/${ignored}/fitness`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Convert all 2' }).click();
        await page.getByText("b.tif is a TIFF image, which this browser can't decode.").waitFor();
      },
    },
    {
      name: 'revoking a token',
      path: () => '/account',
      open: async (page) => {
        await page.getByRole('button', { name: /^Revoke .* for Ada/ }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    {
      name: 'sharing a dataset',
      path: () => `/datasets/${empty}`,
      open: async (page) => {
        await page.getByRole('button', { name: 'Share the dataset' }).click();
        await page.getByRole('button', { name: 'Create a link' }).click();
        await page.getByRole('list', { name: 'Links to this dataset' }).waitFor();
      },
    },
    {
      name: 'a shared dataset',
      path: () => '/',
      open: async (page) => {
        await page.goto(shared);
        await page.getByText('a caption').waitFor();
      },
    },
    {
      name: 'captions of a shared dataset',
      path: () => '/',
      open: async (page) => {
        await page.goto(shared.replace('#', '/captions#'));
        await page.getByRole('list', { name: 'Captions' }).getByText('a caption').waitFor();
      },
    },
    {
      name: 'a share link that has ended',
      path: () => `/shared/datasets/${ready}`,
      open: text('This link no longer works'),
    },
    {
      name: 'an interrupted upload',
      path: () => `/datasets/${interrupted}/fitness`,
      open: async (page) => {
        // As after a reload during an upload.
        await page.evaluate((id) => sessionStorage.setItem('trainyard-unfinished-uploads', `["${id}"]`), interrupted);
        await page.reload();
        await page.getByText('Interrupted: 1 file was announced').waitFor();
        await page.getByText('Their names').click();
      },
    },
  ];

  test('there are none on the sign-in page', async () => {
    const { page, context } = await visit(site.browser, site.server, { theme: 'light' });
    await page.getByLabel('Token').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await turnDark(page);
    expect(await seriousViolations(page)).toEqual([]);
    await context.close();
  });

  test.each(PAGES)('there are none with $name, which fits a phone', async ({ path, open }) => {
    const { page, context, browserErrors } = await site.open(path(), { theme: 'light' });
    await open(page);
    expect(await seriousViolations(page)).toEqual([]);
    await turnDark(page);
    expect(await seriousViolations(page)).toEqual([]);
    await page.setViewportSize(PHONE);
    // A grid lays out its cards a frame after the width has changed.
    await expect.poll(() => smallTargets(page)).toEqual([]);
    await turnToTouch(page);
    await expect.poll(() => smallTargets(page)).toEqual([]);
    expect(await hiddenActions(page)).toEqual([]);
    expect(browserErrors).toEqual([]);
    await context.close();
  });
});
