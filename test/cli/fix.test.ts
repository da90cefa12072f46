import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, chmod, link, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { type FixFlags, fixFiles, requireFix } from '../../src/cli/fix/fix-files.js';
import { FileInspector } from '../../src/cli/folder/inspect-files.js';
import { openProgressDisplay } from '../../src/cli/terminal/progress.js';
import * as media from '../fixtures/media.js';
import { ONLY_PROGRESS, startCommand, trainyard } from '../harness/command.js';
import { folderWith, pairsOf } from '../harness/folder.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';
import { needTerminal, openTerminal } from '../harness/terminal.js';

const server = await sharedServer();
const api = await server.api();
const push = (...args: string[]) =>
  trainyard(['push', ...args], { env: { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token } });

const HEIC = readFileSync(new URL('../fixtures/images/still.heic', import.meta.url));

const fix = (folder: string, ...flags: string[]) => trainyard(['check', folder, '--fix', ...flags]);

interface FixDocument {
  readonly mended: readonly { filename: string; action: string; original: string | null }[];
  readonly not_mended: readonly { message: string }[];
}

/** Fixes files as the command does, in this process. */
async function fixHere(paths: readonly string[], flags: FixFlags = {}): Promise<FixDocument> {
  const task = {
    inspector: new FileInspector(),
    display: openProgressDisplay({ isQuiet: true }),
    signal: new AbortController().signal,
  };
  return (await fixFiles(paths, { fix: true, json: true, ...flags }, task)).fixed.fix as unknown as FixDocument;
}

const reasonsIn = ({ not_mended }: FixDocument) => not_mended.map(({ message }) => message).join('\n');

/** The bytes of each file in a folder, by name. */
function contentsOf(folder: string): Record<string, Buffer> {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(files.map(({ name }) => [name, readFileSync(join(folder, name))]));
}

const originalsOf = (folder: string) => (existsSync(`${folder}.orig`) ? contentsOf(`${folder}.orig`) : {});

/** A file of each kind that can be fixed; each image has a caption. */
async function fixable(): Promise<Record<string, Buffer | string>> {
  const names = ['named', 'phone', 'hidden', 'scan'];
  return {
    ...Object.fromEntries(names.map((name) => [`${name}.txt`, `${name} by the track`])),
    'accents.webp': await media.webp(),
    'accents.txt': media.captionBytes('a café, a wagon’s wheel', 'windows-1252'),
    'mark.png': await media.png({ seed: 3 }),
    'mark.txt': media.captionBytes('a wagon', 'utf8-bom'),
    'named.jpg': await media.png({ seed: 4 }),
    'phone.heic': await media.jpeg({ seed: 5 }),
    'hidden.jpg': await media.avif({ seed: 7 }),
    'scan.tif': await media.tiff({ seed: 9 }),
  };
}

/** Some of them: one to convert, one to rename, and a text to write again. */
async function someFixable(): Promise<Record<string, Buffer | string>> {
  return Object.fromEntries(Object.entries(await fixable()).filter(([name]) => /^(hidden|mark|named)/.test(name)));
}

describe('check --fix', () => {
  test('fixes files of every kind; the folder then is fit to train on, and becomes READY when it is pushed', async () => {
    const files = await fixable();
    const folder = await folderWith(files, 'fixed wagons');
    const before = contentsOf(folder);
    const { code, stdout, stderr } = await fix(folder);
    expect([code, stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    expect(stdout).toContain('To fix: 6 files.');
    expect(stdout).toContain(`Fixed 6 files. The originals are in ${folder}.orig.`);
    const accents = '✓ accents.txt: from Windows-1252 (assumed) to UTF-8; it reads “a café, a wagon’s wheel”.';
    expect(stdout).toContain(`\n${accents}\n`);
    expect(stdout).toMatch(/^✓ scan\.tif → scan\.png: it is a TIFF image/m);
    expect(stdout).toContain('Fit to train on.');
    expect(stdout).not.toMatch(/^[✗!]/m);

    const after = contentsOf(folder);
    const converted = ['hidden.jpg', 'scan.tif'];
    const texts = ['accents.txt', 'mark.txt'];
    const renamed: Record<string, string> = { 'named.jpg': 'named.png', 'phone.heic': 'phone.jpg' };
    const nameAfter = (name: string) =>
      converted.includes(name) ? name.replace(/\.\w+$/, '.png') : (renamed[name] ?? name);
    expect(Object.keys(after).sort()).toEqual(Object.keys(files).map(nameAfter).sort());
    expect(after['accents.txt']?.toString()).toBe('a café, a wagon’s wheel');
    expect(after['named.png']).toEqual(before['named.jpg']);
    expect(await sharp(after['scan.png']).raw().toBuffer()).toEqual(await sharp(before['scan.tif']).raw().toBuffer());
    // What is only renamed has no other original.
    const originals = [...texts, ...converted].map((name) => [`${name}.orig`, before[name]]);
    expect(originalsOf(folder)).toEqual(Object.fromEntries(originals));

    const pushed = await push(folder);
    expect([pushed.code, pushed.stdout]).toEqual([0, expect.stringMatching(/^READY/m)]);
    expect(pushed.stdout).not.toMatch(/^!/m);
    expect(await fixHere([folder])).toMatchObject({ mended: [], not_mended: [] });
    expect(contentsOf(folder)).toEqual(after);
  });

  test('--dry-run lists the same, and changes nothing', async () => {
    const folder = await folderWith(await someFixable());
    const before = contentsOf(folder);
    expect((await trainyard(['check', folder])).stdout).toContain('3 files can be fixed');
    const dry = await fix(folder, '--dry-run', '--json');
    expect(dry.code).toBe(1);
    const { fix: document, fit } = dry.json();
    expect([fit, document.dry_run, document.would_mend.length, document.not_mended]).toEqual([false, true, 3, []]);
    const converted = { filename: 'hidden.jpg', action: 'convert', new_filename: 'hidden.png' };
    expect(document.would_mend).toContainEqual({ ...converted, message: expect.stringContaining('AVIF') });
    expect([contentsOf(folder), originalsOf(folder)]).toEqual([before, {}]);
    const { mended } = await fixHere([folder]);
    expect(mended).toMatchObject([
      { filename: 'hidden.jpg', action: 'convert' },
      { filename: 'mark.txt', original: `${folder}.orig/mark.txt.orig` },
      { filename: 'named.jpg', action: 'rename', original: null },
    ]);
  });

  test('leaves alone what needs guessing, and says why', async () => {
    const pngs = [await media.png(), await media.png({ seed: 2 })];
    const folder = await folderWith({
      'moving.gif': await media.animated('gif'),
      'pages.tif': await sharp(pngs, { join: { animated: true } })
        .tiff()
        .toBuffer(),
      'phone.heic': HEIC,
      'russian.txt': Buffer.from([0xe2, 0xe0, 0xe3, 0xee, 0xed]),
      'broken.heic': (await media.jpeg()).subarray(0, 700),
      'page.jpg': media.damaged.html(),
    });
    const before = contentsOf(folder);
    const reasons = reasonsIn(await fixHere([folder]));
    for (const reason of [
      /^moving\.gif is animated/m,
      /^pages\.tif has 2 pages/m,
      /^phone\.heic is a HEIC image.*Export it as JPEG\.$/m,
      /^russian\.txt is not UTF-8.*iconv/m,
      /^broken\.heic is a JPEG image that can't be used/m,
    ]) {
      expect(reasons).toMatch(reason);
    }
    expect(reasons).not.toMatch(/^page\.jpg/m);
    expect(contentsOf(folder)).toEqual(before);
  });

  test('never writes over a file, and never makes two images of one name', async () => {
    const folder = await folderWith({
      // A phone that keeps both.
      'both.avif': await media.avif(),
      'both.jpg': await media.jpeg(),
      'twins.bmp': media.bmp(),
      'twins.gif': await media.gif(),
      'clash.jpg': await media.png({ seed: 3 }),
      'clash.webp': await media.png({ seed: 4 }),
    });
    const reasons = reasonsIn(await fixHere([folder]));
    expect(reasons).toMatch(/^both\.avif is not converted to both\.png, since there is both\.jpg already/m);
    expect(reasons).toMatch(/^twins\.bmp is not converted .* twins\.gif/m);
    expect(reasons).toMatch(/^twins\.gif is not converted .* twins\.bmp/m);
    expect(reasons).toMatch(/^clash\.webp is not renamed to clash\.png, since there is clash\.png already/m);
    const names = ['both.avif', 'both.jpg', 'clash.png', 'clash.webp', 'twins.bmp', 'twins.gif'];
    expect(Object.keys(contentsOf(folder)).sort()).toEqual(names);
  });

  test('leaves links, read-only files and files whose originals can not be kept alone', async () => {
    const windows = media.captionBytes('a wagon’s', 'windows-1252');
    const folder = await folderWith({ 'real.txt': windows, 'fixed.txt': windows });
    await writeFile(`${folder}.orig`, 'a file of a person');
    await symlink('real.txt', join(folder, 'linked.txt'));
    await chmod(join(folder, 'fixed.txt'), 0o444);
    const reasons = reasonsIn(await fixHere([folder]));
    expect(reasons).toMatch(/^linked\.txt is a link/m);
    expect(reasons).toMatch(/^fixed\.txt is read-only/m);
    expect(reasons).toMatch(/^real\.txt is left alone, since its original can't be kept in .*--in-place/m);
    expect(contentsOf(folder)).toEqual({ 'real.txt': windows, 'fixed.txt': windows });
    expect(readFileSync(`${folder}.orig`, 'utf8')).toBe('a file of a person');
    // Single files are fixed alone.
    expect((await fixHere([join(folder, 'real.txt')], { inPlace: true })).mended).toHaveLength(1);
    expect(contentsOf(folder)['real.txt']?.toString()).toBe('a wagon’s');
  });

  test('keeps permissions, and every original of a name', async () => {
    const folder = await folderWith({});
    const path = join(folder, '01.txt');
    const versions = ['one wagon’s', 'two wagons’ load'].map((text) => media.captionBytes(text, 'windows-1252'));
    // The same bytes again need no third original.
    for (const bytes of [...versions, versions[0]!]) {
      await writeFile(path, bytes);
      await chmod(path, 0o640);
      expect((await fixHere([folder])).mended).toHaveLength(1);
      expect((await stat(path)).mode & 0o777).toBe(0o640);
    }
    expect(originalsOf(folder)).toEqual({ '01.txt.orig': versions[0], '01.txt.2.orig': versions[1] });
  });

  test.each(['dryRun', 'inPlace', 'yes'] as const)('the option %s needs --fix', (option) => {
    const rejected = expect.objectContaining({ exitCode: 64, message: expect.stringContaining('Add --fix') });
    expect(() => requireFix({ [option]: true }, ['inPlace', 'yes', 'dryRun'])).toThrow(rejected);
  });
});

describe('an interrupted fix', () => {
  test('by kill -9 leaves each file old or new, and the same command ends it', async () => {
    const big = await media.tiff({ width: 1600, height: 1600 });
    const folder = await folderWith({ ...(await someFixable()), 'big.tif': big, 'big.txt': 'big by the track' });
    const before = contentsOf(folder);
    const running = startCommand(['check', folder, '--fix']);
    await eventually(() => Object.keys(originalsOf(folder)).length > 0 || undefined);
    running.process.kill('SIGKILL');
    await running.ended;
    const [after, originals] = [contentsOf(folder), originalsOf(folder)];
    for (const [name, bytes] of Object.entries(before)) {
      // Each old file is in the folder, or among the originals, or was only renamed.
      const kept = [after[name], originals[`${name}.orig`], after[name.replace(/\.\w+$/, '.png')]];
      expect([name, kept.some((found) => found?.equals(bytes))]).toEqual([name, true]);
    }
    for (const name of Object.keys(after)) {
      if (name.endsWith('.png')) await sharp(after[name]).stats();
    }
    expect((await fixHere([folder])).not_mended).toEqual([]);
    expect(Object.keys(contentsOf(folder)).sort()).toEqual(
      Object.keys(before)
        .map((name) => name.replace(/\.(jpg|tif)$/, '.png'))
        .sort(),
    );
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('between the new content and the new name of an image: it gets the name', async () => {
    const [content, other] = [await media.png(), await media.png({ seed: 2 })];
    const folder = await folderWith({ 'a.avif': content, 'b.jpg': other, '.trainyard-fix-0123456789abcdef': 'half' });
    await link(join(folder, 'b.jpg'), join(folder, 'b.png'));
    expect((await fixHere([folder])).mended).toHaveLength(2);
    expect(contentsOf(folder)).toEqual({ 'a.png': content, 'b.png': other });
  });

  test('by a person who writes to the file, or saves another under its new name, leaves both alone', async () => {
    const files = ['free.tif', 'big.tif'].map(
      async (name, seed) => [name, await media.tiff({ width: 1600, height: 1600, seed })] as const,
    );
    const folder = await folderWith(Object.fromEntries(await Promise.all(files)));
    const fixing = fixHere([folder]);
    const partial = () => readdirSync(folder).filter((name) => name.startsWith('.trainyard-fix-'));
    await eventually(() => partial().length > 0 || undefined);
    const mine = await media.png({ seed: 9 });
    await writeFile(join(folder, 'big.png'), mine);
    await appendFile(join(folder, 'free.tif'), 'x');
    const reasons = reasonsIn(await fixing);
    expect(reasons).toMatch(/^big\.tif is left alone, since a file with the name big\.png has appeared/m);
    expect(reasons).toMatch(/^free\.tif has changed meanwhile/m);
    expect(Object.keys(contentsOf(folder)).sort()).toEqual(['big.png', 'big.tif', 'free.tif']);
    expect(contentsOf(folder)['big.png']?.equals(mine)).toBe(true);
  });
});

test('on a terminal, it asks first', async (context) => {
  needTerminal(context);
  const caption = media.captionBytes('a wagon’s', 'windows-1252');
  const folder = await folderWith({ ...(await pairsOf(1)), '01.txt': caption });
  const terminal = await openTerminal({});
  await terminal.trainyard(`check ${folder} --fix`);
  await terminal.waitFor(/Fix 1 file\? The originals are kept in .*\.orig\./);
  await terminal.answer('n');
  expect(await terminal.waitFor(/ended with/)).toContain('ended with 1');
  expect(contentsOf(folder)['01.txt']).toEqual(caption);
  await terminal.trainyard(`check ${folder} --fix`);
  await terminal.waitFor(/Fix 1 file\?/);
  await writeFile(join(folder, '01.txt'), Buffer.concat([caption, caption]));
  await terminal.answer('y');
  expect(await terminal.waitFor(/ended with/)).toContain('01.txt has changed meanwhile');
  await terminal.trainyard(`check ${folder} --fix --yes`);
  expect(await terminal.waitFor(/ended with/)).toContain('ended with 0');
});

test('push --fix fixes files before it sends them; --dry-run only lists them', async () => {
  const folder = await folderWith(await someFixable(), 'pushed wagons');
  const dry = await push(folder, '--fix', '--dry-run');
  expect([dry.code, dry.stdout]).toEqual([65, expect.stringContaining('Would fix: 3 files.')]);
  expect(originalsOf(folder)).toEqual({});
  const pushed = await push(folder, '--fix', '--json');
  const dataset = { name: 'pushed wagons', status: 'READY' };
  expect(pushed.json()).toMatchObject({ fix: { mended: { length: 3 } }, dataset, warnings: [] });
  expect((await push(folder, '--fix', '--watch')).code).toBe(64);
});
