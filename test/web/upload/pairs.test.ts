import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy, Seen } from '../../harness/proxy.js';
import { eventually } from '../../harness/server.js';
import { controlsOf, datasetWith, linkDatasets, stemsTo, targetsOf } from '../linked-datasets.js';
import { dockOf, FOLDER, folderOfPairs, sendsOf } from './drop-files.js';

describeInBrowser('a folder of targets, controls and masks', (site) => {
  let proxy: BreakingProxy;
  runProxy(site, (started) => {
    proxy = started;
  });

  const datasets = async () => new Map((await site.api.list()).body.datasets.map((each) => [each.name, each]));
  const ready = (id: string) =>
    eventually(async () => ((await site.api.status(id)).body.status === 'READY' ? true : undefined));
  const idIn = (page: Page) => /datasets\/([^/?]+)/.exec(page.url())![1]!;
  const dialogOf = (page: Page) => page.getByRole('dialog');
  const part = (page: Page, text: string) =>
    dialogOf(page)
      .getByRole('list', { name: 'Datasets of the folder' })
      .getByRole('listitem')
      .filter({ hasText: text });
  const pick = async (page: Page, folder: string) => page.locator(FOLDER).first().setInputFiles(folder);

  test('becomes linked datasets under names that are free, in one step, and ends at the training dataset', async () => {
    const folder = await folderOfPairs(
      {
        target: await targetsOf(stemsTo(3)),
        control: await controlsOf(['01', '02', '03', 'spare']),
        mask: await controlsOf(['01', '02']),
        '': { 'README.md': 'x' },
      },
      'railway',
    );
    await site.api.newDataset('depots-control');
    const { page } = await site.open();
    const sends = sendsOf(page);
    await pick(page, folder);
    await part(page, 'railway-control').getByText('4 images').waitFor();
    await part(page, 'railway-control').getByText('No target for 1 control: spare.').waitFor();
    await part(page, 'railway-mask').getByText('No mask for 1 target: 03.').waitFor();
    await part(page, 'training dataset').getByText('3 images, 3 captions').waitFor();
    await dialogOf(page).getByText('README.md').waitFor();
    const name = dialogOf(page).getByLabel('Name');
    await name.fill('depots');
    await part(page, 'depots-control').getByText('A dataset named "depots-control" already exists.').waitFor();
    await expect
      .poll(() =>
        dialogOf(page)
          .getByRole('button', { name: /^Create/ })
          .isDisabled(),
      )
      .toBe(true);
    await name.fill('stations');
    expect(sends).toEqual([]);
    await dialogOf(page).getByRole('button', { name: 'Create and link 3 datasets, upload 12 files' }).click();
    await page.getByRole('heading', { name: 'stations', exact: true }).waitFor();
    await dockOf(page).getByText('12 files uploaded').waitFor();
    const id = idIn(page);
    const made = await datasets();
    expect(['stations', 'stations-control', 'stations-mask'].map((name) => made.get(name)?.role)).toEqual([
      'training',
      'control',
      'mask',
    ]);
    const { links } = (await site.api.status(id)).body;
    expect(links?.control_1?.name).toBe('stations-control');
    expect(links?.mask?.missing).toEqual({ count: 1, stems: ['03'] });
    await site.api.upload(links!.mask!.dataset_id, '03.png', await media.png({ seed: 9 }));
    await ready(id);
  });

  test('leaves no dataset behind if one can not be made', {
    tags: ['long'],
  }, async () => {
    const parts = { target: await targetsOf(['a']), control: await controlsOf(['a']) };
    const { page } = await site.open('/', { at: proxy });
    await pick(page, await folderOfPairs(parts, 'viaducts'));
    const make = dialogOf(page).getByRole('button', { name: 'Create and link 2 datasets, upload 3 files' });
    await make.waitFor();
    const isLinking = ({ method, path }: Seen) => method === 'PUT' && path.endsWith('/links');
    proxy.rule((seen) => (isLinking(seen) ? { status: 409 } : undefined));
    await make.click();
    await dialogOf(page).getByText('Nothing was uploaded.').waitFor();
    const names = [...(await datasets()).keys()];
    expect(names.filter((name) => name.startsWith('viaducts'))).toEqual([]);
  });

  test('says what is wrong with its sub-folders, and can be uploaded as one dataset', { tags: ['long'] }, async () => {
    const { page } = await site.open();
    const sends = sendsOf(page);
    const create = dialogOf(page).getByRole('button', { name: /^Create/ });
    const twice = { control: await controlsOf(['b']), control_1: await controlsOf(['c']) };
    await pick(page, await folderOfPairs({ target: await targetsOf(['a']), ...twice }, 'odd'));
    await dialogOf(page).getByText('control/ and control_1/ are both control 1.').waitFor();
    await expect.poll(() => create.isDisabled()).toBe(true);
    expect(sends).toEqual([]);
    await dialogOf(page).getByRole('button', { name: 'Upload as one dataset' }).click();
    await page.getByRole('button', { name: 'Create and upload 4 files' }).click();
    await dockOf(page).getByText('4 files uploaded').waitFor();
  });

  test('dropped on a dataset, each part goes to the dataset that it belongs to, or to a new one that is linked', async () => {
    const id = await datasetWith(site.api, await targetsOf(['a', 'b']), { name: 'bridges' });
    const control = await datasetWith(site.api, await controlsOf(['a']), { role: 'control' });
    await linkDatasets(site.api, id, { control_1: control });
    const folder = await folderOfPairs(
      {
        target: { 'a.txt': 'another caption', 'b.txt': 'a wagon at b' },
        control: await controlsOf(['a', 'b']),
        control_2: await controlsOf(['a']),
      },
      'more',
    );
    const { page } = await site.open(`/datasets/${id}`);
    await pick(page, folder);
    await part(page, 'control').filter({ hasText: '1 new: 1 image, 1 file there already' }).waitFor();
    await part(page, 'training dataset').getByText('1 file of the same name with other bytes').waitFor();
    await part(page, 'bridges-control-2').getByText('No control for 1 target: b.').waitFor();
    await dialogOf(page).getByRole('button', { name: 'Skip existing files' }).click();
    await dockOf(page).getByText('2 files uploaded').waitFor();
    expect(await site.api.filenames(control)).toEqual(['a.png', 'b.png']);
    expect(await site.api.text(id, 'a.txt')).toBe('a wagon at a');
    const { links } = (await site.api.status(id)).body;
    expect([links?.control_1?.dataset_id, links?.control_2?.name]).toEqual([control, 'bridges-control-2']);
  });
});
