import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { ONLY_PROGRESS, startCommand, trainyard } from '../harness/command.js';
import { folderWith, pairsOf } from '../harness/folder.js';
import { HANGS_AFTER_MS } from '../harness/hangs-after.js';
import { discardServer, eventually, startServer } from '../harness/server.js';

const RAILWAY = fileURLToPath(new URL('../../examples/railway', import.meta.url));

const codesOf = (problems: readonly { filename?: string | undefined; code: string }[]) =>
  problems.map(({ filename, code }) => `${filename ?? '*'} ${code}`).sort();

describe('check', () => {
  test('prints what the trainer will see, and exits with 0', async () => {
    const { code, stdout, stderr } = await trainyard(['check', RAILWAY]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    expect(stdout).toContain('12 images, 1 video and 13 captions, 223 kB');
    const seen = 'The trainer will see 12 images, each with its caption, 512 to 768 pixels wide and 512 to 768 high.';
    expect(stdout).toContain(seen);
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
    const server = await startServer({ 'caption-grace-seconds': 0 });
    try {
      const api = await server.api();
      const id = await api.newDataset();
      for (const [name, bytes] of Object.entries(files)) await api.upload(id, name, bytes);
      const { body } = await api.status(id);
      expect(checked.code).toBe(1);
      const { fit, errors, warnings } = checked.json();
      expect(fit).toBe(false);
      expect(codesOf(errors)).toEqual(codesOf(body.error!.problems));
      expect(codesOf(warnings)).toEqual(codesOf(body.warnings));
      const messages = (problems: { message: string }[]) => problems.map(({ message }) => message).sort();
      expect(messages(errors)).toEqual(messages(body.error!.problems));
      expect(codesOf(errors)).toContain('bare.jpg MISSING_CAPTION');
    } finally {
      await discardServer(server);
    }
  });

  test('prints a line for each error and warning, and the number of errors', async () => {
    const folder = await folderWith({ ...(await pairsOf(1)), 'bad.jpg': media.damaged.html(), 'alone.txt': 'x' });
    const { code, stdout } = await trainyard(['check', folder]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^✗ bad\.jpg /m);
    expect(stdout).toMatch(/^! alone\.txt belongs to no image/m);
    expect(stdout).toContain('Not fit to train on: 1 error.');
  });

  test('of many problems of one kind, prints the first and the names of three, and all with --all', async () => {
    const bare = await Promise.all(Array.from({ length: 6 }, (_, seed) => media.jpeg({ seed })));
    const folder = await folderWith({
      ...Object.fromEntries(bare.map((bytes, i) => [`${i}.jpg`, bytes])),
      'a.txt': 'x',
    });
    const { stdout } = await trainyard(['check', folder]);
    expect(stdout.match(/^✗ .*/gm)).toEqual([
      expect.stringMatching(
        /^✗ 0\.jpg has no caption.* And 5 more like it: 1\.jpg, 2\.jpg, 3\.jpg, … \(--all lists them\)$/,
      ),
    ]);
    expect(stdout).toMatch(/^! a\.txt belongs to no image/m);
    expect(stdout).toContain('Not fit to train on: 6 errors.');
    const all = await trainyard(['check', folder, '--all']);
    expect(all.stdout.match(/^✗ \d\.jpg has no caption/gm)).toHaveLength(6);
  });

  test('exits with 66 if there are no files', async () => {
    const empty = await folderWith({});
    await mkdir(join(empty, 'raw'));
    expect(await trainyard(['check', join(empty, 'missing')])).toMatchObject({
      code: 66,
      stderr: expect.stringContaining('missing: there is no such file or folder'),
    });
    expect(await trainyard(['check', empty])).toMatchObject({ code: 66, stderr: expect.stringContaining('raw/') });
    await mkdir(join(empty, '10_red wagon'));
    const kohya = await trainyard(['check', empty]);
    expect(kohya.stderr).toMatch(/To check one, run: \S*trainyard check '.*10_red wagon'/);
    const json = await trainyard(['check', empty, '--json']);
    expect([json.code, json.stderr, json.json().error]).toEqual([
      66,
      '',
      { code: 'NO_INPUT', exit_code: 66, message: expect.stringContaining('no image') },
    ]);
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
    const folder = await folderWith({
      ...(await pairsOf(1)),
      '.hidden.jpg': 'x',
      '.aitk_size.json': '{}',
      'a.md': 'x',
    });
    for (const name of ['_latent_cache', '_t_e_cache', '_clip_vision_cache', '_controls', '.thumbs', 'raw']) {
      await mkdir(join(folder, name));
    }
    execFileSync('mkfifo', [join(folder, 'pipe.jpg')]);
    expect(await noticesIn(folder)).toEqual({
      files: ['01.jpg', '01.txt'],
      skipped: ['a.md OTHER_TYPE', 'pipe.jpg NOT_A_FILE', 'raw/ FOLDER'],
      errors: [],
      unreadable: [],
    });
  });

  test('follows links within the folder, and out of it only with --follow', { tags: ['long'] }, async () => {
    const outside = await folderWith({ 'far.jpg': await media.jpeg({ seed: 9 }) });
    const folder = await folderWith({ ...(await pairsOf(1)), 'far.txt': 'x', 'near.txt': 'x' });
    await symlink('01.jpg', join(folder, 'near.jpg'));
    await symlink(join(outside, 'far.jpg'), join(folder, 'far.jpg'));
    await symlink('nothing.jpg', join(folder, 'broken.jpg'));
    await symlink('loop.jpg', join(folder, 'loop.jpg'));
    await symlink('.', join(folder, 'self'));
    const inside = ['01.jpg', '01.txt', 'far.txt', 'near.jpg', 'near.txt'];
    const broken = ['broken.jpg UNREADABLE', 'loop.jpg UNREADABLE'];
    expect(await noticesIn(folder)).toMatchObject({ files: inside, unreadable: broken });
    expect((await noticesIn(folder)).skipped).toContain('far.jpg LINK_OUTSIDE');
    expect(await noticesIn(folder, '--follow')).toMatchObject({
      files: [...inside, 'far.jpg'].sort(),
      skipped: ['self/ FOLDER'],
    });
    // A link that is named as an argument is followed.
    expect((await noticesIn(join(folder, 'far.jpg'), join(folder, 'far.txt'))).files).toEqual(['far.jpg', 'far.txt']);
  });

  test('names both of two files with the same name in a dataset, and escapes the names', async () => {
    const folder = await folderWith({ 'é.txt': 'x', 'e\u0301.txt': 'y', 'é.jpg': await media.jpeg() });
    const { json, code } = await trainyard(['check', '--json', folder]);
    expect([code, json().errors]).toEqual([1, [expect.objectContaining({ code: 'SAME_NAME', filename: 'é.txt' })]]);
    expect(json().errors[0].message).toMatch(/\\u00e9\.txt.*e\\u0301\.txt|e\\u0301\.txt.*\\u00e9\.txt/);
    const other = await folderWith({ 'a.txt': 'x' });
    const same = await trainyard(['check', '--json', await folderWith({ 'a.txt': 'x' }), other]);
    expect(codesOf(same.json().errors)).toContain('a.txt SAME_NAME');
  });

  test('lists names that no dataset accepts', async () => {
    const folder = await folderWith({
      ...(await pairsOf(1)),
      'a\\b.jpg': 'x',
      'a\u0007.jpg': 'x',
      'a\u001b[2J.md': 'x',
    });
    await writeFile(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9]), Buffer.from('.jpg')]), 'x');
    const { errors } = await noticesIn(folder);
    expect(errors).toEqual(['a\u0007.jpg INVALID_NAME', 'a\\b.jpg INVALID_NAME', 'caf\ufffd.jpg INVALID_NAME']);
    const { stdout } = await trainyard(['check', folder]);
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

  test('checks ten thousand files with flat memory', { tags: ['long'] }, async () => {
    const image = await media.png({ width: 8, height: 8 });
    const files: Record<string, Buffer | string> = {};
    for (let index = 0; index < 5000; index++) {
      files[`${index}.png`] = image;
      files[`${index}.txt`] = 'x';
    }
    const folder = await folderWith(files);
    const running = startCommand(['check', '--json', folder]);
    let peakMegabytes = 0;
    const ended = running.ended.then(() => true);
    await eventually(async () => {
      const status = await readFile(`/proc/${running.process.pid}/status`, 'utf8').catch(() => '');
      peakMegabytes = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? peakMegabytes * 1024) / 1024;
      return Promise.race([ended, Promise.resolve(undefined)]);
    }, 2 * HANGS_AFTER_MS);
    const { code, json } = await running.ended;
    expect([code, json().files.length]).toEqual([0, 10_000]);
    expect(peakMegabytes).toBeGreaterThan(50);
    expect(peakMegabytes).toBeLessThan(400);
  });
});
