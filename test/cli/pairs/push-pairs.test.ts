import { rename, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { editPairsOf, folderWith } from '../../harness/folder.js';
import { sharedServer } from '../../harness/shared-server.js';
import { commandsOn } from '../commands.js';

const { api, client, run, newName, statusOf, namesIn } = await commandsOn(await sharedServer());
const push = (args: readonly string[], url?: string) => run(['push', '--pairs', ...args], url);

/** Names of the datasets that begin with this name. */
const datasetsOf = async (name: string) =>
  (await client.list()).map((dataset) => dataset.name).filter((each) => each.startsWith(name));

describe('push --pairs', () => {
  test('makes a dataset of each folder, links them, waits for READY, and sends nothing the second time', async () => {
    const folder = await folderWith(await editPairsOf(3, ['control', 'mask']), newName());
    const name = basename(folder);
    const first = await push([folder]);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toContain('3 targets, each with control 1 and mask.');
    expect(first.stdout).toContain(
      `Linked "${name}" to "${name}-control" (control 1) and "${name}-mask" (mask).\nSent 3 images and 3 captions to "${name}".\nREADY  digest `,
    );
    expect(await statusOf(`${name}-control`)).toMatchObject({ role: 'control', status: 'READY' });
    const target = await statusOf(name);
    expect(target).toMatchObject({
      role: 'training',
      status: 'READY',
      links: {
        control_1: { name: `${name}-control`, role: 'control', status: 'READY', missing: { count: 0 } },
        mask: { name: `${name}-mask`, role: 'mask', status: 'READY' },
      },
    });
    expect((await push([folder, '--json'])).json()).toMatchObject({
      dataset: { name, status: 'READY', digest: target?.digest, updated_at: target?.updated_at },
      linked: {},
      parts: {
        target: { folder: 'target', sent: [], unchanged: { length: 6 } },
        control_1: { folder: 'control', sent: [], unchanged: { length: 3 }, dataset: { role: 'control' } },
        mask: { folder: 'mask', sent: [], dataset: { name: `${name}-mask` } },
      },
      pairs: { targets: 3, errors: [], warnings: [] },
      left_out: [],
    });
  });

  test('lists the stems without a pair and sends nothing; --allow-unpaired sends; the missing file makes it READY', async () => {
    const files = await editPairsOf(3, ['control']);
    delete files['control/02.jpg'];
    const folder = await folderWith(files, newName());
    const name = basename(folder);
    const blocked = await push([folder]);
    expect(blocked.code).toBe(65);
    expect(blocked.stdout).toMatch(/✗ .*"set \d+-control" \(control 1\).*: 02\. /);
    expect(blocked.stderr).toContain('nothing was sent: 1 error');
    expect(blocked.stderr).toContain('--allow-unpaired');
    expect(await datasetsOf(name)).toEqual([]);
    const sent = await push([folder, '--allow-unpaired']);
    expect(sent).toMatchObject({ code: 1, stdout: expect.stringMatching(/\nFAILED {2}.*: 02\. .*\n$/) });
    expect((await statusOf(name))?.links?.control_1?.missing).toEqual({ count: 1, stems: ['02'] });
    await writeFile(join(folder, 'control/02.png'), await media.png({ seed: 7 }));
    expect(await push([folder])).toMatchObject({ code: 0, stdout: expect.stringMatching(/READY {2}digest/) });
  });

  test('--skip-bad leaves out targets without a pair, and those whose control is damaged', async () => {
    const files = await editPairsOf(4);
    delete files['control/02.jpg'];
    files['control/03.jpg'] = media.damaged.html();
    const folder = await folderWith(files, newName());
    const ended = await push([folder, '--skip-bad']);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toContain('- Left out: 02.jpg has no pair in control/');
    expect(await namesIn(basename(folder))).toEqual(['01.jpg', '01.txt', '04.jpg', '04.txt']);
    expect(await namesIn(`${basename(folder)}-control`)).toEqual(['01.jpg', '04.jpg']);
  });

  test('--dry-run prints what would be done, and changes nothing', async () => {
    const folder = await folderWith({ ...(await editPairsOf(2, ['control', 'mask'])), 'notes.md': 'x' }, newName());
    const name = basename(folder);
    const { code, stdout } = await push([folder, '--dry-run']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Would link "${name}" to "${name}-control" (control 1) and "${name}-mask" (mask).`);
    expect((await push([folder, '--dry-run', '--json'])).json()).toMatchObject({
      ...{ dry_run: true, name, exists: false, link: { control_1: `${name}-control`, mask: `${name}-mask` } },
      parts: { mask: { name: `${name}-mask`, exists: false, send: ['01.jpg', '02.jpg'] } },
      left_out: ['notes.md is in no folder of targets, controls or masks.'],
    });
    expect(await datasetsOf(name)).toEqual([]);
  });
});

describe('what push --pairs rejects', () => {
  test.each([
    ['a folder without controls and masks', ['target/01.jpg', 'notes/a.txt'], 66, 'It needs a folder target/'],
    ['controls without targets', ['control/01.jpg'], 66, 'no folder target/, and no dataset'],
    ['an empty folder', ['target/01.jpg', 'control/.keep'], 66, 'no image, video or caption found'],
  ])('%s', async (_, files, code, reason) => {
    const folder = await folderWith(Object.fromEntries(files.map((file) => [file, 'x'])), newName());
    expect(await push([folder])).toMatchObject({ code, stderr: expect.stringContaining(reason) });
    expect(await datasetsOf(basename(folder))).toEqual([]);
  });

  test('files, several folders, --watch, and --allow-unpaired without it', async () => {
    const folder = await folderWith(await editPairsOf(1), newName());
    const watching = await push([folder, '--watch']);
    expect([watching.code, watching.stderr]).toEqual([64, expect.stringContaining('--watch exclude each other')]);
    expect(await push([join(folder, 'target/01.jpg')])).toMatchObject({ code: 64 });
    expect(await push([folder, folder])).toMatchObject({ code: 64, stderr: expect.stringContaining('one folder') });
    expect(await run(['push', folder, '--allow-unpaired'])).toMatchObject({ code: 64 });
    const hinted = await run(['push', folder]);
    expect(hinted).toMatchObject({ code: 66, stderr: expect.stringContaining('--pairs') });
  });

  test('a dataset of another role, and links that lead out of the folder, and says what to do', async () => {
    const folder = await folderWith(await editPairsOf(1), newName());
    const name = basename(folder);
    const id = await api.newDataset(`${name}-control`);
    const role = `run: trainyard role '${name}-control' control`;
    expect(await push([folder])).toMatchObject({ code: 65, stderr: expect.stringContaining(role) });
    expect(await datasetsOf(name)).toEqual([`${name}-control`]);
    await client.remove(id);
    const outside = join(dirname(folder), 'depth');
    await rename(join(folder, 'control'), outside);
    await symlink(outside, join(folder, 'control'));
    expect(await push([folder])).toMatchObject({ code: 65, stderr: expect.stringContaining('add --follow') });
    expect(await push([folder, '--follow'])).toMatchObject({ code: 0 });
  });
});
