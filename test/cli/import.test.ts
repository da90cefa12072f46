import { readFileSync } from 'node:fs';
import { readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { trainyard } from '../harness/command.js';
import { folderWith, pairsOf } from '../harness/folder.js';
import { sharedServer } from '../harness/shared-server.js';
import { needTerminal, openTerminal } from '../harness/terminal.js';
import { type ZipEntry, zipOf } from '../hostile/zip.js';
import { commandsOn } from './commands.js';
import { sha256 } from '../harness/sha256.js';

const server = await sharedServer();
const { api, client, envFor, run, newName, statusOf, namesIn, textIn } = await commandsOn(server);
const importing = (...args: string[]) => run(['import', ...args]);

/** A zip of that name with these files. */
function zipWith(files: Record<string, Buffer | string>, name = newName()): Promise<string> {
  const entries = Object.entries(files).map(([path, bytes]) => ({ name: path, bytes }));
  return zipOfEntries(entries, name);
}

async function zipOfEntries(entries: readonly ZipEntry[], name = newName()): Promise<string> {
  return join(await folderWith({ [`${name}.zip`]: zipOf(entries) }), `${name}.zip`);
}

async function below(folder: string, files: Promise<Record<string, Buffer | string>>) {
  return Object.fromEntries(Object.entries(await files).map(([name, bytes]) => [`${folder}/${name}`, bytes]));
}

describe('import', () => {
  test('brings a zip into a dataset of its name as one revision, which undo takes back', async () => {
    const name = newName();
    const pairs = await pairsOf(2);
    const zip = await zipWith({ ...(await below('wagons', pairsOf(2))), '__MACOSX/wagons/._01.jpg': 'x' }, name);
    const first = await importing(zip);
    expect(first.stdout).toContain(`Sent 2 images and 2 captions to "${name}".`);
    expect(first.stdout).toContain('__MACOSX/wagons/._01.jpg: An operating system or a trainer made it, or hides it.');
    const { files, id } = (await statusOf(name))!;
    expect(files.map(({ filename, sha256: hash }) => [filename, hash])).toEqual(
      Object.entries(pairs).map(([filename, bytes]) => [filename, sha256(bytes)]),
    );
    const { revisions } = (await run(['log', name, '--json'])).json();
    expect(revisions).toHaveLength(1);
    const again = await importing(zip, '--json');
    expect(again.json()).toMatchObject({ sent: [], unchanged: { length: 4 }, dataset: { id, status: 'READY' } });
    expect((await run(['undo', name, String(revisions[0].number)])).code).toBe(0);
    expect(await namesIn(name)).toEqual([]);
  });

  test('shows a table, renamed files, repeats and what is skipped before it writes', async () => {
    const image = (seed: number) => media.jpeg({ seed });
    const zip = await zipWith({
      'k/10_red wagon/1.jpg': await image(1),
      'k/10_red wagon/1.txt': 'red, wagon',
      'k/10_red wagon/1.caption': 'A red wagon.',
      'k/night/1.jpg': await image(2),
      'k/night/2.jpg': await image(3),
      'k/night/metadata.csv': 'file_name,text,short\n1.jpg,"dark, at night",dark\n2.jpg,late,x\n3.jpg,gone,y\n',
      'k/notes.psd': 'x',
    });
    const name = newName();
    const dry = await importing(zip, name, '--dry-run');
    expect(dry.code).toBe(0);
    for (const line of [
      'k/night/metadata.csv: 2 captions; files from "file_name", captions from "text"; not used: short.',
      '1 file has several captions: those of .txt are taken first. To change that, add --captions .caption',
      'k/night/1.jpg becomes night_1.jpg',
      'Group "red wagon": 2 files, 10 repeats.',
      '- k/notes.psd: ',
      '- k/10_red wagon/1.caption: The caption of 1 comes from 1.txt.',
      `Would send 6 files, `,
    ]) {
      expect(dry.stdout).toContain(line);
    }
    expect(await statusOf(name)).toBeUndefined();
    const { code, json } = await importing(zip, name, '--captions', '.caption', '--caption-column', 'short', '--json');
    expect(code).toBe(0);
    expect(json()).toMatchObject({
      tables: [{ path: 'k/night/metadata.csv', caption_column: 'short', captions: 2 }],
      groups: [{ name: 'red wagon', repeats: 10, is_reg: false }],
      renamed: [
        { from: 'k/10_red wagon/1.caption', to: '1.txt' },
        { from: 'k/night/1.jpg', to: 'night_1.jpg' },
      ],
      dataset: { status: 'READY' },
    });
    expect((await statusOf(name))?.groups).toEqual([{ name: 'red wagon', repeats: 10, is_reg: false, files: 2 }]);
    const texts = await Promise.all(['1.txt', 'night_1.txt', '2.txt'].map((each) => textIn(name, each)));
    expect(texts).toEqual(['A red wagon.', 'dark', 'x']);
  });

  test('leaves captions that differ from those of the dataset alone until a person decides', async () => {
    const name = newName();
    const zip = await zipWith(await pairsOf(2), name);
    const id = await api.newDataset(name);
    const pairs = await pairsOf(1);
    for (const [filename, bytes] of Object.entries(pairs)) await api.upload(id, filename, bytes);
    await api.upload(id, '01.txt', 'my own words');
    await api.upload(id, 'mine.jpg', await media.jpeg({ seed: 9 }));
    await api.upload(id, 'mine.txt', 'mine');
    const stopped = await importing(zip);
    expect([stopped.code, stopped.stdout]).toEqual([73, expect.stringContaining('my own words')]);
    expect(await textIn(name, '01.txt')).toBe('my own words');
    expect(await namesIn(name)).toEqual(['01.jpg', '01.txt', '02.jpg', '02.txt', 'mine.jpg', 'mine.txt']);
    expect((await importing(zip, '--ours')).code).toBe(0);
    expect(await textIn(name, '01.txt')).toBe('wagon 1');
    // What was edited after an import is newer than the archive.
    await api.upload(id, '02.txt', 'edited');
    const kept = { changed_in_dataset: ['02.txt'] };
    expect((await importing(zip, '--json')).json()).toMatchObject({ kept, conflicts: [] });
  });

  test('holds a new caption back while the dataset has another picture of its name', async () => {
    const [name, zip] = [newName(), await zipWith(await pairsOf(1))];
    await api.upload(await api.newDataset(name), '01.jpg', await media.jpeg({ seed: 9 }));
    const stopped = await importing(zip, name);
    expect([stopped.code, stopped.stdout]).toEqual([73, expect.stringContaining('01.txt is in conflict')]);
    const kept = { decided_for_dataset: ['01.jpg', '01.txt'] };
    expect((await importing(zip, name, '--theirs', '--json')).json()).toMatchObject({ sent: [], kept });
    expect(await namesIn(name)).toEqual(['01.jpg']);
    expect((await importing(zip, name, '--ours')).code).toBe(0);
    expect(await textIn(name, '01.txt')).toBe('wagon 1');
  });

  test('brings a folder with folders in it, and follows no link out of it', async () => {
    const folder = await folderWith({ ...(await pairsOf(1)), ...(await below('more/evening', pairsOf(2))) }, newName());
    await symlink('/etc/hostname', join(folder, 'out.txt'));
    const { code, json } = await importing(folder, '--json');
    const sent = ['01.jpg', '01.txt', '02.jpg', '02.txt', 'evening_01.jpg', 'evening_01.txt'];
    expect([code, json().sent]).toEqual([0, sent]);
    expect(json().skipped).toMatchObject([{ code: 'UNREADABLE', message: expect.stringContaining('leads out') }]);
    // Of the folder itself, a lock alone is written, and removed.
    expect(await readdir(folder)).toEqual(['01.jpg', '01.txt', 'more', 'out.txt']);
    // To a push, what came from other folders was never in this one.
    await rm(join(folder, 'out.txt'));
    expect((await run(['push', folder, '--replace'])).code).toBe(0);
    expect(await namesIn(basename(folder))).toEqual(sent);
  });

  test('brings what export gives, with the same digest and the same repeats', async () => {
    const name = newName();
    const pair = async (seed: number, path: string) => ({
      [`${path}.jpg`]: await media.jpeg({ seed }),
      [`${path}.txt`]: `wagon ${seed}`,
    });
    const others = {
      ...{ 'd.jpg': await media.jpeg({ seed: 4 }), 'd.txt': '', 'c.json': '{ "a": [1, "\\"b\\""] }\n' },
      ...{ 'e.mp4': media.clip('faststart.mp4'), 'e.txt': '\ufeffa "wagon",\r\nat night\n' },
    };
    const pairs = [await pair(1, '10_red wagon/é'), await pair(2, 'reg/1_dog/b'), await pair(3, 'c'), others];
    await importing(await zipWith(Object.assign({}, ...pairs), name));
    const { id, digest, groups, files } = (await statusOf(name))!;
    expect(groups).toEqual([
      { name: 'dog', repeats: 1, is_reg: true, files: 2 },
      { name: 'red wagon', repeats: 10, is_reg: false, files: 2 },
    ]);
    const folder = await folderWith({});
    const exported = async (form: string) => {
      const file = join(folder, `${form}.${form === 'captions-csv' ? 'csv' : 'zip'}`);
      expect(await run(['export', name, '--as', form, '--to', file])).toMatchObject({ code: 0 });
      return file;
    };
    const captions = files.map(({ filename }) => filename).filter((each) => /txt|json/.test(each));
    for (const form of ['captions-zip', 'captions-csv']) {
      const file = await exported(form);
      await api.json('DELETE', `/${id}/files`, { filenames: captions });
      expect(await importing(file, name), form).toMatchObject({ code: 0 });
      expect(await statusOf(name), form).toMatchObject({ digest, groups });
    }
    for (const form of ['kohya', 'metadata']) {
      const file = await exported(form);
      await client.remove((await client.find(name))!.id);
      expect(await importing(file, name), form).toMatchObject({ code: 0 });
      expect(await statusOf(name), form).toMatchObject({ digest, ...(form === 'kohya' && { groups }) });
    }
  });

  test('brings an edited table of captions back, matched by name, with what differs as a conflict', async () => {
    const name = newName();
    await importing(await zipWith(await pairsOf(3), name));
    const csv = join(await folderWith({}), `${name}.csv`);
    await run(['export', name, '--as', 'captions-csv', '--to', csv]);
    const table = readFileSync(csv, 'utf8').replace('wagon 2', 'a red wagon');
    await writeFile(csv, `${table}"none.jpg","x"\r\n`);
    const dry = await importing(csv, '--dry-run');
    expect(dry.code).toBe(73);
    for (const line of ['captions from "text"', 'none.jpg is not among', 'a red wagon']) {
      expect(dry.stdout).toContain(line);
    }
    const unchanged = ['01.txt', '03.txt'];
    expect((await importing(csv, '--ours', '--json')).json()).toMatchObject({ sent: ['02.txt'], unchanged });
    // The next edit of the same table is newer than what it has brought.
    await writeFile(csv, table.replace('a red wagon', 'a blue wagon'));
    expect(await importing(csv)).toMatchObject({ code: 0 });
    expect(await textIn(name, '02.txt')).toBe('a blue wagon');
    const lost = await importing(csv, 'no such dataset');
    expect([lost.code, lost.stderr]).toEqual([66, expect.stringContaining('Add it to the dataset that has them.')]);
  });

  test('sends the rest of an archive that has damaged and hostile entries, and names them', async () => {
    const jpg = await media.jpeg();
    const zip = await zipOfEntries([
      { name: 'a.jpg', bytes: jpg },
      { name: 'a.txt', bytes: 'red' },
      { name: '../../b.jpg', bytes: jpg },
      { name: 'c.jpg', bytes: jpg, crc: 1 },
    ]);
    const [name, temporary] = [newName(), await folderWith({})];
    const env = { ...envFor(), TMPDIR: temporary };
    const { code, stdout } = await trainyard(['import', zip, name, '--skip-bad'], { env });
    expect(await readdir(temporary)).toEqual([]);
    expect([code, await namesIn(name)]).toEqual([74, ['a.jpg', 'a.txt']]);
    expect(stdout).toMatch(/c\.jpg can't be read: the archive is damaged there \(.*\)\./);
    expect(stdout).toContain('../../b.jpg: Its path leads out of the archive.');
  });

  test('ends with words for what is no archive, has no files, or makes pairs', async () => {
    const folder = await folderWith({ 'page.zip': '<html>', 'a.tar': 'x', 'bomb.zip': '' });
    const many = Array.from({ length: 70 }, (_, i) => ({ name: `${i}.jpg`, size: 63 * 1024 * 1024 }));
    await writeFile(join(folder, 'bomb.zip'), zipOf(many));
    const edits = { 'w/target/1.jpg': 'x', 'w/control/1.jpg': 'x', '__MACOSX/w/._target': 'x' };
    for (const [source, code, words] of [
      [join(folder, 'page.zip'), 65, "page.zip can't be read as a zip"],
      [join(folder, 'bomb.zip'), 65, 'made to fill disks'],
      [join(folder, 'a.tar'), 65, 'Unpack it, and import the folder.'],
      [join(folder, 'none.zip'), 66, 'there is no such file or folder'],
      [await zipOfEntries([{ name: 'a.jpg', bytes: 'x', flags: 1 }]), 66, '- a.jpg: It is encrypted.'],
      [await zipWith(edits), 65, 'push FOLDER --pairs'],
    ] as const) {
      expect(await importing(source, newName())).toMatchObject({ code, stderr: expect.stringContaining(words) });
    }
    const odd = await zipWith(await pairsOf(1), 'wagons (2)');
    expect(await importing(odd)).toMatchObject({ code: 65, stderr: expect.stringContaining('such as "wagons _2_"') });
  });

  test('asks on a terminal', async (context) => {
    needTerminal(context);
    const terminal = await openTerminal(envFor(server.url));
    const name = newName();
    const zip = await zipWith(await pairsOf(1), name);
    await terminal.trainyard(`import '${zip}'`);
    await terminal.waitFor(/Import 2 files, .* into the new dataset "set \d+"\? \[y\/N\]/);
    await terminal.answer('n');
    expect(await terminal.waitFor(/ended with/)).toMatch(/nothing was imported\.[\s\S]*ended with 65/);
    expect(await statusOf(name)).toBeUndefined();
    await terminal.trainyard(`import '${zip}' --yes`);
    expect(await terminal.waitFor(/ended with/)).toMatch(/READY[\s\S]*ended with 0/);
  });
});
