import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { trainyard } from '../../harness/command.js';
import { folderWith } from '../../harness/folder.js';

/* An unpacked archive or a clone may contain anything under the names that `--fix` uses. */

const WORK = '.trainyard-fix';
const WILL = 'a file of a person';

/** A folder with one file to fix. */
const wagons = async () =>
  folderWith({ 'a.jpg': await media.jpeg(), 'a.txt': media.captionBytes('a wagon', 'utf8-bom') });
const fix = (folder: string) => trainyard(['check', folder, '--fix']);

/** Each path below a folder, in order. */
const pathsIn = async (folder: string) => (await readdir(folder, { recursive: true })).sort();

describe('something else under the name of the folder of incomplete files ends the command in words, and stays:', () => {
  const KINDS: Record<string, (path: string, elsewhere: string) => Promise<unknown>> = {
    'a link to a folder': (path, elsewhere) => symlink(elsewhere, path),
    'a broken link': (path) => symlink('/nowhere/at/all', path),
    'a link to itself': (path) => symlink(path, path),
    'a pipe': async (path) => execFileSync('mkfifo', [path]),
    'a file': (path) => writeFile(path, WILL),
  };
  test.each(Object.entries(KINDS))('%s', async (_, make) => {
    const folder = await wagons();
    const elsewhere = join(dirname(folder), 'elsewhere');
    // As `--fix` would name them.
    for (const name of ['file-cabinet', 'file-abc123']) {
      await mkdir(join(elsewhere, name, 'letters'), { recursive: true });
      await writeFile(join(elsewhere, name, 'letters', 'will.txt'), WILL);
    }
    await mkdir(join(elsewhere, 'file-abc124'));
    await writeFile(join(elsewhere, 'file-abc124', 'will.txt'), WILL);
    await make(join(folder, WORK), elsewhere);
    const before = await pathsIn(dirname(folder));
    const message = `trainyard: ${join(folder, WORK)} is in the way: it is not a folder. Move it away.\n`;
    const checked = await fix(folder);
    expect([checked.code, checked.stdout, checked.stderr]).toEqual([73, '', message]);
    expect(await pathsIn(dirname(folder))).toEqual(before);
    expect(await readFile(join(elsewhere, 'file-cabinet', 'letters', 'will.txt'), 'utf8')).toBe(WILL);
    expect(await readFile(join(folder, 'a.txt'))).toEqual(media.captionBytes('a wagon', 'utf8-bom'));
  });
});

test('of the folder of incomplete files, only what a killed command leaves there is removed', async () => {
  const folder = await wagons();
  const work = join(folder, WORK);
  const will = async (path: string) => {
    await mkdir(dirname(join(work, path)), { recursive: true });
    await writeFile(join(work, path), WILL);
  };
  await will('notes.txt');
  await will('file-cabinet/will.txt');
  await will('file-abc123/letters/will.txt');
  for (const name of ['will.txt', 'letter.txt']) await will(`file-abc124/${name}`);
  await mkdir(join(work, 'file-abc125'));
  await symlink(join(work, 'notes.txt'), join(work, 'file-abc125', 'a.txt'));
  await mkdir(join(work, 'file-abc126'));
  execFileSync('mkfifo', [join(work, 'file-abc126', 'a.txt')]);
  await symlink(join(work, 'file-cabinet'), join(work, 'file-abc127'));
  await will('file-abc128');
  const before = await pathsIn(work);
  await will('file-abc129/a.txt');
  await mkdir(join(work, 'file-abc12a'));
  expect((await fix(folder)).code).toBe(0);
  expect(await pathsIn(work)).toEqual(before);
  expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('a wagon');
});

test('an original is kept beside what else has its name: a link to the file itself would keep nothing', async () => {
  const folder = await wagons();
  const originals = `${folder}.orig`;
  await mkdir(originals);
  await symlink(join(folder, 'a.txt'), join(originals, 'a.txt.orig'));
  execFileSync('mkfifo', [join(originals, 'a.txt.2.orig')]);
  expect((await fix(folder)).code).toBe(0);
  expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('a wagon');
  expect(await readlink(join(originals, 'a.txt.orig'))).toBe(join(folder, 'a.txt'));
  expect(await readFile(join(originals, 'a.txt.3.orig'))).toEqual(media.captionBytes('a wagon', 'utf8-bom'));
});

test('where the folder of originals is a link, a file is left alone', async () => {
  const folder = await wagons();
  const elsewhere = join(dirname(folder), 'elsewhere');
  await mkdir(elsewhere);
  await symlink(elsewhere, `${folder}.orig`);
  const { stdout } = await fix(folder);
  expect(stdout).toContain(`${folder}.orig is in the way: it is not a folder. Move it away.`);
  expect(await readdir(elsewhere)).toEqual([]);
  expect(await readFile(join(folder, 'a.txt'))).toEqual(media.captionBytes('a wagon', 'utf8-bom'));
});
