import { describe, expect, test } from 'vitest';
import { maskPng } from '../../fixtures/masks.js';
import { folderWith, imagesOf, pairsOf } from '../../harness/folder.js';
import { datasetOf } from '../../harness/mounting.js';
import { sharedServer } from '../../harness/shared-server.js';
import { commandsOn } from '../commands.js';

const { api, client, run } = await commandsOn(await sharedServer());

let names = 0;
const newName = () => `links-${++names}`;

/** A training dataset of that many pairs, and control datasets with that many images. */
async function datasetsWith({ targets, controls }: { targets: number; controls: readonly number[] }) {
  const name = newName();
  await datasetOf(api, await pairsOf(targets), name);
  const control = controls.map((_, i) => `${name}-depth-${i + 1}`);
  for (const [i, count] of controls.entries()) {
    const id = await api.newDataset(control[i], 'control');
    for (const [file, bytes] of Object.entries(await imagesOf(count, 100 * (i + 1)))) await api.upload(id, file, bytes);
  }
  return { name, control };
}

test('rename gives a dataset another name, under the same ID; role shows and changes its role', async () => {
  const { name } = await datasetsWith({ targets: 2, controls: [] });
  const { id } = (await client.find(name))!;
  expect((await run(['rename', name, `${name} b`])).stdout).toBe(`Renamed "${name}" to "${name} b".\n`);
  expect((await run(['rename', id, name, '--json'])).json()).toMatchObject({ id, name, previous_name: `${name} b` });
  expect((await run(['role', name])).stdout).toBe(`"${name}" is a training dataset.\n`);
  const kept = `"${name}" is a control dataset. Its 2 captions are kept, and not used.\n`;
  expect((await run(['role', name, 'control'])).stdout).toBe(kept);
  const changed = (await run(['role', name, 'training', '--json'])).json();
  expect(changed).toMatchObject({ role: 'training', previous_role: 'control' });
  expect(await run(['role', name, 'masks'])).toMatchObject({ code: 64, stderr: expect.stringContaining('mask') });
  expect(await run(['role', `${name}x`, 'mask'])).toMatchObject({ code: 66 });
});

describe('pair', () => {
  test('links controls, shows what is missing, and removes links', async () => {
    const { name, control } = await datasetsWith({ targets: 3, controls: [3, 2] });
    const [one = '', two = ''] = control;
    const linked = await run(['pair', name, '--control', one]);
    expect(linked).toMatchObject({ code: 0 });
    expect(linked.stdout).toMatch(new RegExp(`^control 1 {2}${one} {2}READY$`, 'm'));
    const both = await run(['pair', name, '--control', one, '--control', two]);
    expect(both.code).toBe(1);
    expect(both.stdout).toMatch(new RegExp(`^control 2 {2}${two} {2}READY {2}1 missing$`, 'm'));
    expect(both.stdout).toMatch(/^FAILED {2}.*control 2.*03/m);
    expect((await run(['pair', name, '--json'])).json()).toMatchObject({
      dataset: { name, status: 'FAILED' },
      links: { control_1: { name: one }, control_2: { name: two, missing: { count: 1, stems: ['03'] } } },
    });
    const linkedFrom = `^${two} {2}control dataset, 2 images, .*\nlinked from "${name}"`;
    expect((await run(['status', two])).stdout).toMatch(new RegExp(linkedFrom));
    expect((await run(['show', name])).stdout).toContain(`control 1  ${one}  READY`);
    const listed = await run(['ls', '--role', 'control']);
    expect(listed.stdout).toMatch(new RegExp(`^${one} +control +READY +3 images `, 'm'));
    expect(listed.stdout).not.toMatch(/ training /);
    expect((await run(['pair', name, '--none'])).stdout).toContain('no control and no mask');
  });

  test('--control and --mask leave the other links', async () => {
    const { name, control } = await datasetsWith({ targets: 1, controls: [1, 1] });
    const [one = '', mask = ''] = control;
    const linksAfter = async (...args: string[]) => (await run(['pair', name, ...args, '--json'])).json().links;
    await run(['role', mask, 'mask']);
    await linksAfter('--mask', mask);
    const both = { control_1: { name: one }, mask: { name: mask } };
    expect(await linksAfter('--control', one)).toMatchObject(both);
    expect(await run(['pair', name, '--mask', ''])).toMatchObject({ code: 66, stderr: expect.stringContaining('""') });
    expect(await linksAfter()).toMatchObject(both);
    expect(Object.keys(await linksAfter('--no-mask'))).toEqual(['control_1']);
    expect(await linksAfter('--no-control')).toEqual({});
  });

  test('rejects unknown names, other roles and too many controls', async () => {
    const { name, control } = await datasetsWith({ targets: 1, controls: [1] });
    const [one = ''] = control;
    const four = Array.from({ length: 4 }, () => ['--control', one]).flat();
    for (const [args, code, words] of [
      [['--control', `${one}x`], 66, `Did you mean "${one}"?`],
      [['--mask', one], 65, `trainyard role ${one} mask`],
      [four, 64, 'at most 3 controls'],
      [['--none', '--control', one], 64, ''],
    ] as const) {
      expect(await run(['pair', name, ...args])).toMatchObject({ code, stderr: expect.stringContaining(words) });
    }
  });
});

describe('push --role', () => {
  test('makes a dataset of that role, whose images need no captions; later pushes need no --role', async () => {
    const name = newName();
    const folder = await folderWith({ ...(await imagesOf(2)), '01.txt': 'unused' }, name);
    const first = await run(['push', folder, '--role', 'control']);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/READY {2}digest/) });
    expect(first.stdout).toMatch(/! .*01\.txt/);
    expect(await client.find(name)).toMatchObject({ role: 'control', status: 'READY', counts: { uncaptioned: 0 } });
    expect((await run(['push', folder, '--json'])).json()).toMatchObject({ dataset: { role: 'control' }, sent: [] });
  });

  test('does not change the role of a dataset, and rejects unknown roles and options for captions', async () => {
    const { name } = await datasetsWith({ targets: 1, controls: [] });
    const folder = await folderWith(await imagesOf(1), name);
    const advice = `"${name}" is a training dataset. To make it a mask dataset, run: trainyard role ${name} mask`;
    for (const [role, code, words] of [
      [['mask'], 65, advice],
      [['controls'], 64, 'Did you mean control?'],
      [['mask', '--trigger', 'x'], 64, '--trigger is of no use for a mask dataset'],
    ] as const) {
      const ended = await run(['push', folder, '--role', ...role]);
      expect(ended).toMatchObject({ code, stderr: expect.stringContaining(words) });
    }
    expect((await client.find(name))?.role).toBe('training');
  });
});

test('check and push read masks as the trainer does', async () => {
  const black = maskPng({ width: 9, height: 9, colour: 0, depth: 8, pixel: () => [0] });
  const name = newName();
  const folder = await folderWith({ ...(await imagesOf(1)), '02.png': black }, name);
  expect((await run(['check', folder])).code).toBe(1);
  const checked = await run(['check', folder, '--role', 'mask', '--json']);
  expect(checked.json()).toMatchObject({ fit: true, warnings: [{ filename: '01.jpg' }, { code: 'BLACK_MASK' }] });
  expect((await run(['check', folder, '--role', 'control', '--json'])).json()).toMatchObject({ warnings: [] });
  const pushed = await run(['push', folder, '--role', 'mask']);
  expect(pushed).toMatchObject({ code: 0, stdout: expect.stringMatching(/! .*02\.png is black\. As a mask it/) });
  const { warnings } = await client.status((await client.find(name))!.id);
  expect(warnings.map(({ code }) => code)).toEqual(['MASK_NOT_GRAYSCALE', 'BLACK_MASK']);
});
