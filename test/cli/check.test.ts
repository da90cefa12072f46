import { execFileSync } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { ONLY_PROGRESS, trainyard } from '../harness/command.js';
import { folderWith, imagesOf, pairsOf } from '../harness/folder.js';
import { sharedServer } from '../harness/shared-server.js';

const api = await (await sharedServer()).api();

const RAILWAY = fileURLToPath(new URL('../../examples/railway', import.meta.url));

const codesOf = (problems: readonly { filename?: string | undefined; code: string }[]) =>
  problems.map(({ filename, code }) => `${filename ?? '*'} ${code}`).sort();

describe('check', () => {
  test('prints what the trainer will see, and exits with 0', async () => {
    const { code, stdout, stderr } = await trainyard(['check', RAILWAY]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    expect(stdout).toContain('12 images, 1 video and 13 captions, 223 kB');
    expect(stdout).toContain('The trainer will see 12 images, each with its caption, 512 to 768 pixels wide and 512');
    expect(stdout).toContain('Fit to train on.');
    expect(stdout).not.toContain('\u001b');
  });

  test('finds the problems that the service finds, with the same messages', async () => {
    const files = {
      'cut.jpg': media.damaged.cut(await media.jpeg(), 900),
      'cut.txt': 'x',
      'page.png': media.damaged.html(),
      'odd.txt': media.captionBytes('wagon’s', 'windows-1252'),
      'odd.webp': await media.webp(),
      'bare.jpg': await media.jpeg({ seed: 2 }),
      'orphan.txt': 'x',
      'blank.txt': '',
      'blank.jpg': await media.jpeg({ seed: 5 }),
    };
    const checked = await trainyard(['check', '--json', await folderWith(files)]);
    const id = await api.newDataset();
    for (const [name, bytes] of Object.entries(files)) await api.upload(id, name, bytes);
    const { body } = await api.status(id);
    expect(checked.code).toBe(1);
    const { fit, errors, warnings } = checked.json();
    expect(fit).toBe(false);
    const messages = (problems: { message: string }[]) => problems.map(({ message }) => message).sort();
    // A caption that can't be used is not also missing here.
    const told = body.error!.problems.filter(({ filename }) => filename !== 'odd.webp');
    expect(messages(errors)).toEqual(messages(told));
    expect(codesOf(warnings)).toEqual(codesOf(body.warnings));
    expect(codesOf(errors)).toContain('bare.jpg MISSING_CAPTION');
  });

  test('of many problems of one kind, prints the first and the names of three, and all with --all', async () => {
    const odd = { '07.txt': media.captionBytes('wagon’s', 'windows-1252') };
    const folder = await folderWith({ ...(await imagesOf(7)), ...odd, 'a.txt': 'x' });
    const { code, stdout } = await trainyard(['check', folder]);
    const more = 'And 5 more like it: 02.jpg, 03.jpg, 04.jpg, … (--all lists them)';
    const lines = [/^✗ 01\.jpg has no caption\. Add 01\.txt\. And/, /^✗ 07\.txt is not UTF-8.*Save it as UTF-8\. The/];
    expect(stdout.match(/^✗ .*/gm)).toEqual(lines.map((line) => expect.stringMatching(line)));
    expect(stdout).toContain('The trainer will see 7 images, 7 of them without a usable caption');
    expect(stdout).toContain(more);
    expect(stdout).toMatch(/^! a\.txt belongs to no image/m);
    expect([code, stdout]).toEqual([1, expect.stringContaining('Not fit to train on: 7 errors.')]);
    const all = await trainyard(['check', folder, '--all']);
    expect(all.stdout.match(/^✗ \d\d\.jpg has no caption/gm)).toHaveLength(6);
  });

  test('exits with 66 if there are no files, and with 78 if there is no such ffmpeg', async () => {
    const empty = await folderWith({});
    await mkdir(join(empty, 'raw'));
    await mkdir(join(empty, '10_red wagon'));
    const missing = await trainyard(['check', join(empty, 'missing')]);
    expect([missing.code, missing.stderr]).toEqual([66, expect.stringContaining('there is no such file or folder')]);
    const { code, stderr } = await trainyard(['check', empty]);
    expect([code, stderr]).toEqual([66, expect.stringContaining('raw/')]);
    expect((await trainyard(['check', RAILWAY, '--ffmpeg', empty])).code).toBe(78);
    expect(stderr).toMatch(/To check one, run: \S*trainyard check '.*10_red wagon'/);
    const json = await trainyard(['check', empty, '--json']);
    const error = { code: 'NO_INPUT', exit_code: 66, message: expect.stringContaining('no image') };
    expect([json.code, json.stderr, json.json().error]).toEqual([66, '', error]);
  });
});

describe('reading a folder', () => {
  const noticesIn = async (folder: string, ...flags: string[]) => {
    const { skipped, errors, unreadable, files } = (await trainyard(['check', '--json', folder, ...flags])).json();
    return {
      skipped: codesOf(skipped),
      errors: codesOf(errors),
      unreadable: codesOf(unreadable),
      files: files.map(({ filename }: { filename: string }) => filename),
    };
  };

  test("lists folders and other files, and skips hidden files and the trainer's caches silently", async () => {
    const others = { '.hidden.jpg': 'x', '.aitk_size.json': '{}', 'a.md': 'x' };
    const folder = await folderWith({ ...(await pairsOf(1)), ...others });
    for (const name of ['_latent_cache', '_t_e_cache', '_clip_vision_cache', '_controls', '.thumbs', 'raw']) {
      await mkdir(join(folder, name));
    }
    execFileSync('mkfifo', [join(folder, 'pipe.jpg')]);
    const skipped = ['a.md OTHER_TYPE', 'pipe.jpg NOT_A_FILE', 'raw/ FOLDER'];
    const notices = { files: ['01.jpg', '01.txt'], skipped, errors: [], unreadable: [] };
    expect(await noticesIn(folder)).toEqual(notices);
  });

  test('follows links within the folder, and out of it only with --follow', async () => {
    const outside = await folderWith({ 'far.jpg': await media.jpeg({ seed: 9 }) });
    const folder = await folderWith({ ...(await pairsOf(1)), 'far.txt': 'x', 'near.txt': 'x' });
    await symlink('01.jpg', join(folder, 'near.jpg'));
    await symlink(join(outside, 'far.jpg'), join(folder, 'far.jpg'));
    await symlink('nothing.jpg', join(folder, 'broken.jpg'));
    await symlink('loop.jpg', join(folder, 'loop.jpg'));
    await symlink('.', join(folder, 'self'));
    const inside = ['01.jpg', '01.txt', 'far.txt', 'near.jpg', 'near.txt'];
    const broken = ['broken.jpg UNREADABLE', 'loop.jpg UNREADABLE'];
    const notices = await noticesIn(folder);
    expect(notices).toMatchObject({ files: inside, unreadable: broken });
    expect(notices.skipped).toContain('far.jpg LINK_OUTSIDE');
    const following = await noticesIn(folder, '--follow');
    expect(following).toMatchObject({ files: [...inside, 'far.jpg'].sort(), skipped: ['self/ FOLDER'] });
    // A link that is named as an argument is followed.
    expect((await noticesIn(join(folder, 'far.jpg'), join(folder, 'far.txt'))).files).toEqual(['far.jpg', 'far.txt']);
  });

  test('names both of two files with the same name in a dataset, and lists names that no dataset accepts', async () => {
    const odd = { 'a\\b.jpg': 'x', 'a\u0007.jpg': 'x', 'a\u001b[2J.md': 'x', 'é.txt': 'x', 'e\u0301.txt': 'y' };
    const folder = await folderWith({ ...(await pairsOf(1)), ...odd });
    await writeFile(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9]), Buffer.from('.jpg')]), 'x');
    const { stdout } = await trainyard(['check', folder]);
    expect(stdout).toMatch(/"a\\u0007\.jpg" contains a control.*\n.*b\.jpg" contains a slash.*\n✗ caf\ufffd\.jpg /);
    expect(stdout).toMatch(/\\u00e9\.txt.*e\\u0301\.txt|e\\u0301\.txt.*\\u00e9\.txt/);
    expect(stdout).toContain('- a\\u001b[2J.md is not an image');
    expect(stdout).not.toMatch(/[\u0007\u001b]/);
  });

  test('continues after an unreadable file, and exits with 74', async () => {
    const folder = await folderWith({ ...(await pairsOf(2)), 'alone.txt': 'x' });
    await chmod(join(folder, 'alone.txt'), 0);
    await chmod(join(folder, '..'), 0o755);
    const uid = process.getuid?.() === 0 ? { uid: 65_534 } : {};
    const { code, stdout } = await trainyard(['check', folder], uid);
    expect(stdout).toMatch(/^✗ alone\.txt can't be read: EACCES/m);
    expect(stdout).toContain("1 file can't be read; the others are fit to train on.");
    expect(code).toBe(74);
  });
});
