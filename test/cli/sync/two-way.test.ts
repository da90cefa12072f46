import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { folderWith, pairsOf } from '../../harness/folder.js';
import { newRoot } from '../../harness/mounting.js';
import { COMMAND } from '../../harness/server.js';
import { sharedServer } from '../../harness/shared-server.js';
import { commandsOn } from '../commands.js';

const shell = promisify(execFile);

const server = await sharedServer();
const { api, client, newMachine, newName, newProxy } = await commandsOn(server);

/** Edits a caption as the page does. */
async function editInDataset(id: string, filename: string, text: string): Promise<void> {
  const { status } = await api.json('PUT', `/${id}/captions`, { captions: [{ filename, text }] });
  expect(status).toBe(200);
}

const inDataset = (id: string, filename: string) => api.text(id, filename);
const inFolder = (folder: string, filename: string) => readFile(join(folder, filename), 'utf8');
const namesIn = (id: string) => api.filenames(id);

/** A folder that a machine has pushed. */
async function pushed(pairs = 2, url = server.url) {
  const { env, run } = await newMachine(url);
  const folder = await folderWith(await pairsOf(pairs), newName());
  expect(await run('push', folder)).toMatchObject({ code: 0 });
  /** Runs the command that an output prints. */
  const runPrinted = async (output: string) => {
    const [, command = ''] = /run: trainyard (.*)$/m.exec(output) ?? [];
    const line = `node '${COMMAND}' ${command}`;
    return (await shell('sh', ['-c', line], { env: { PATH: process.env.PATH, ...env } })).stdout;
  };
  const { id } = (await client.find(basename(folder)))!;
  return { home: env.XDG_CONFIG_HOME, run, runPrinted, folder, id };
}

describe('push', () => {
  test('and pull keep what is newer on the other side, say so, and the command that each prints transfers it', async () => {
    const { folder, id, run, runPrinted } = await pushed();
    const changeBoth = async (edit: string) => {
      await editInDataset(id, '01.txt', `${edit} on the page`);
      await writeFile(join(folder, '02.txt'), `${edit} in the folder`);
    };
    const expectBoth = async (edit: string) => {
      const texts = ['01.txt', '02.txt'].map((name) => Promise.all([inDataset(id, name), inFolder(folder, name)]));
      expect((await Promise.all(texts)).flat()).toEqual([
        ...[`${edit} on the page`, `${edit} on the page`],
        ...[`${edit} in the folder`, `${edit} in the folder`],
      ]);
    };
    await changeBoth('written');
    const sent = await run('push', folder);
    expect(sent).toMatchObject({ code: 0, stdout: expect.stringMatching(/Sent 1 caption to .*, 2 files unchanged\./) });
    const newer = '1 caption is newer in the';
    const fetching = 'To fetch what is newer there, run: trainyard pull';
    expect(sent.stdout).toContain(`${newer} dataset: 01.txt. ${fetching}`);
    expect(await inFolder(folder, '01.txt')).toBe('wagon 1');
    expect(await runPrinted(sent.stdout)).toContain('pulled 1 file');
    await expectBoth('written');
    await changeBoth('edited');
    const fetched = await run('pull', basename(folder), folder);
    expect(fetched.stdout).toMatch(/^pulled 1 file \(18 bytes\) .*, 2 files unchanged$/m);
    expect(fetched.stdout).toContain(`${newer} folder: 02.txt. To send what is newer there, run: trainyard push`);
    expect(await inDataset(id, '02.txt')).toBe('written in the folder');
    expect(await runPrinted(fetched.stdout)).toContain('Sent 1 caption');
    await expectBoth('edited');
  });

  test('sends nothing of a file that was changed on both sides, shows both versions, and sends the others', async () => {
    const { folder, id, run } = await pushed();
    await editInDataset(id, '01.txt', 'first line\nof the page \u202e\nlast line');
    await writeFile(join(folder, '01.txt'), 'first line\nof the folder\nlast line');
    await writeFile(join(folder, '02.txt'), 'another');
    const { code, stdout, stderr } = await run('push', folder);
    expect(code).toBe(73);
    expect(stdout).toContain('✗ 01.txt is in conflict');
    expect(stdout).toContain('  - of the folder\n  + of the page \\u202e\n');
    expect(stdout).not.toContain('first line');
    expect(stderr).toMatch(/1 file is in conflict and was left alone: 01\.txt\. .* add --ours; .* add --theirs\./);
    expect(await inDataset(id, '01.txt')).toContain('of the page');
    expect(await inDataset(id, '02.txt')).toBe('another');
    const theirs = await run('push', folder, '--theirs');
    expect(theirs.stdout).toContain('1 caption stays as in the dataset: 01.txt.');
    expect(await inDataset(id, '01.txt')).toContain('of the page');
    expect(await inFolder(folder, '01.txt')).toContain('of the folder');
    const pull = (...args: string[]) => run('pull', basename(folder), folder, ...args);
    expect([(await pull()).code, await inFolder(folder, '01.txt')]).toEqual([
      0,
      expect.stringContaining('of the page'),
    ]);
    // What pull decides, push does not ask about either.
    for (const [decide, next] of [
      [() => pull('--ours'), () => run('push', folder)],
      [() => run('push', folder, '--ours'), () => pull()],
    ] as const) {
      await editInDataset(id, '01.txt', 'changed on the page');
      await writeFile(join(folder, '01.txt'), `changed in the folder after ${await inFolder(folder, '01.txt')}`);
      expect([(await pull('--dry-run')).code, (await decide()).code, (await next()).code]).toEqual([73, 0, 0]);
      expect(await inDataset(id, '01.txt')).toBe(await inFolder(folder, '01.txt'));
    }
    expect(await inDataset(id, '01.txt')).toMatch(/^changed in the folder after changed in the folder/);
    expect((await run('push', folder, '--ours', '--theirs')).code).toBe(64);
  });

  test('of a mounted folder compares it with what was mounted', async () => {
    const { folder, id, run } = await pushed(4);
    const root = await newRoot();
    const mount = (...args: string[]) => run('mount', basename(folder), '--into', root, ...args);
    expect((await mount()).code).toBe(0);
    const mounted = join(root, basename(folder));
    await editInDataset(id, '01.txt', 'edited on the page');
    await writeFile(join(mounted, '02.txt'), 'edited in the folder');
    await editInDataset(id, '03.txt', 'edited on the page');
    await writeFile(join(mounted, '03.txt'), 'edited in the folder');
    for (let i = 0; i < 2; i++) {
      const { code, json } = await run('push', mounted, '--json');
      const expected = { conflicts: [{ filename: '03.txt' }], kept: { changed_in_dataset: ['01.txt'] } };
      expect([code, json()]).toMatchObject([73, expected]);
    }
    expect([await inDataset(id, '01.txt'), await inDataset(id, '02.txt')]).toEqual([
      'edited on the page',
      'edited in the folder',
    ]);
    expect((await mount('--revision', '1', '--replace')).code).toBe(0);
    for (const name of ['04.jpg', '04.txt']) await rm(join(mounted, name));
    const kept = { changed_in_dataset: ['01.txt', '02.txt', '03.txt'] };
    expect((await run('push', mounted, '--json')).json()).toMatchObject({ sent: [], kept });
    const replaced = await run('push', mounted, '--replace', '--json');
    expect(replaced.json()).toMatchObject({ sent: [], kept, removed: ['04.jpg', '04.txt'] });
  });

  test('of a mounted folder sends no picture a second time whose extension was in capitals', async () => {
    const { run } = await newMachine(server.url);
    const id = await api.newDataset(newName());
    await api.upload(id, '1.JPG', (await pairsOf(1))['01.jpg']!);
    await api.upload(id, '1.txt', 'a wagon');
    const root = await newRoot();
    expect((await run('mount', id, '--into', root)).code).toBe(0);
    const folder = join(root, (await api.status(id)).body.name);
    await writeFile(join(folder, '1.txt'), 'an edited wagon');
    expect(await run('push', folder)).toMatchObject({ code: 65, stdout: expect.stringContaining('✗ 1.jpg') });
    expect((await run('push', folder, '--skip-bad', '--json')).json()).toMatchObject({ sent: ['1.txt'] });
  });

  test('and pull take a link that leads out of the folder for no removed file', async () => {
    const { folder, id, run } = await pushed();
    const [elsewhere, filenames] = [await newRoot(), ['01.jpg', '01.txt']];
    for (const name of filenames) {
      await rename(join(folder, name), join(elsewhere, name));
      await symlink(join(elsewhere, name), join(folder, name));
    }
    expect((await run('push', folder, '--replace', '--json')).json()).toMatchObject({ removed: [] });
    await api.json('DELETE', `/${id}/files`, { filenames });
    expect((await run('pull', basename(folder), folder)).code).toBe(0);
    const kept = { removed_from_dataset: filenames };
    expect((await run('push', folder, '--follow', '--json')).json()).toMatchObject({ sent: [], kept });
  });

  test('and pull say which files were removed on one side, and change nothing unless told to', async () => {
    const { folder, id, run } = await pushed(3);
    const pull = (...args: string[]) => run('pull', basename(folder), folder, ...args);
    for (const name of ['01.jpg', '01.txt']) await rm(join(folder, name));
    await api.json('DELETE', `/${id}/files`, { filenames: ['02.jpg', '02.txt'] });
    const were = '1 image and 1 caption were removed from the';
    const [sent, fetched] = [await run('push', folder), await pull()];
    expect([sent.code, fetched.code]).toEqual([0, 0]);
    for (const [{ stdout }, line] of [
      [sent, `${were} folder: 01.jpg, 01.txt. To remove them from the dataset too, add --replace.`],
      [sent, `${were} dataset: 02.jpg, 02.txt. To send them again, add --ours.`],
      [fetched, `${were} dataset: 02.jpg, 02.txt. To remove them from the folder too, add --replace.`],
      [fetched, `${were} folder: 01.jpg, 01.txt. To fetch them again, add --theirs.`],
    ] as const) {
      expect(stdout).toContain(line);
    }
    expect(await namesIn(id)).toEqual(['01.jpg', '01.txt', '03.jpg', '03.txt']);
    expect((await readdir(folder)).sort()).toEqual(['02.jpg', '02.txt', '03.jpg', '03.txt']);
    const dry = await pull('--replace', '--dry-run', '--json');
    expect(dry.json()).toMatchObject({ dry_run: true, pull: [], remove: ['02.jpg', '02.txt'] });
    expect((await pull('--replace', '--json')).json()).toMatchObject({ removed: ['02.jpg', '02.txt'] });
    expect((await run('push', folder, '--replace', '--json')).json()).toMatchObject({ removed: ['01.jpg', '01.txt'] });
    expect(await namesIn(id)).toEqual(await readdir(folder));
  });

  test.each([
    ['before the upload is reserved', 'POST', 'get-upload-endpoint'],
    ['while it is sent', 'PUT', ''],
    ['before a deletion', 'DELETE', ''],
  ])('an edit that another client saves %s is a conflict', async (_, method, part) => {
    const proxy = await newProxy();
    const { folder, id, run } = await pushed(2, proxy.url);
    const isDeletion = method === 'DELETE';
    if (isDeletion) for (const name of ['01.jpg', '01.txt']) await rm(join(folder, name));
    else await writeFile(join(folder, '01.txt'), 'by the push');
    let edits = 0;
    proxy.rule(async (seen) => {
      const isFirst = seen.method === method && seen.path.includes(part) && ++edits === 1;
      if (isFirst) await editInDataset(id, '01.txt', 'in between');
      return undefined;
    });
    const { code, json } = await run('push', folder, '--json', ...(isDeletion ? ['--replace'] : []));
    expect([code, edits > 0, json().conflicts]).toMatchObject([73, true, [{ filename: '01.txt' }]]);
    expect(await inDataset(id, '01.txt')).toBe('in between');
    expect((await api.status(id)).body.status).toBe('READY');
  });
});

test('what folder and dataset have in common is a file of its owner; it counts as unknown if damaged, or of another dataset', async () => {
  const { folder, home, id, run } = await pushed(1);
  const [name = '', ...others] = await readdir(join(home, 'trainyard', 'sync'));
  const path = join(home, 'trainyard', 'sync', name);
  expect([others, (await stat(path)).mode & 0o777]).toEqual([[], 0o600]);
  expect(await readdir(folder)).toEqual(['01.jpg', '01.txt']);
  const state = JSON.parse(await readFile(path, 'utf8'));
  expect(state).toMatchObject({ folders: [folder], url: server.url, dataset_id: id });
  expect(Object.keys(state.files).sort()).toEqual(['01.jpg', '01.txt']);
  await editInDataset(id, '01.txt', 'changed there');
  for (const damaged of ['{', '{"format":99,"files":{}}']) {
    await writeFile(path, damaged);
    expect((await run('push', folder)).code).toBe(73);
  }
  expect(await inDataset(id, '01.txt')).toBe('changed there');
  await api.request('DELETE', `/${id}`);
  await api.upload(await api.newDataset(basename(folder)), '01.txt', 'of another dataset');
  expect((await run('push', folder)).code).toBe(73);
});

describe('pull', () => {
  test('fetches everything into a folder that was emptied, and removes nothing for a dataset that was emptied', async () => {
    const { folder, id, run } = await pushed();
    const args = ['pull', basename(folder), folder];
    await rm(folder, { recursive: true });
    await mkdir(folder);
    expect((await run(...args, '--json')).json()).toMatchObject({ pulled: { length: 4 } });
    await api.json('DELETE', `/${id}/files`, { filenames: await namesIn(id) });
    expect((await run(...args, '--replace', '--json')).json()).toMatchObject({ removed: [] });
    expect(await readdir(folder)).toHaveLength(4);
  });

  test('overwrites and removes no file that is edited or created in the folder during the pull', async () => {
    const proxy = await newProxy();
    const { folder, id, run } = await pushed(3, proxy.url);
    await editInDataset(id, '01.txt', 'of the page');
    await editInDataset(id, '02.txt', 'of the page');
    await api.json('DELETE', `/${id}/files`, { filenames: ['03.jpg', '03.txt'] });
    await api.upload(id, '04.txt', 'of the page');
    const changed = ['01.txt', '03.txt', '04.txt'];
    proxy.rule(async ({ pathname }) => {
      if (!pathname.endsWith('/archive')) return undefined;
      for (const name of changed) await writeFile(join(folder, name), 'written now');
      return undefined;
    });
    const { code, json } = await run('pull', basename(folder), folder, '--theirs', '--replace', '--json');
    const conflicts = changed.map((filename) => ({ filename }));
    expect([code, json()]).toMatchObject([73, { pulled: ['02.txt'], removed: ['03.jpg'], conflicts }]);
    for (const name of changed) expect(await inFolder(folder, name)).toBe('written now');
    expect((await readdir(folder)).sort()).toEqual(['01.jpg', '01.txt', '02.jpg', '02.txt', '03.txt', '04.txt']);
  });
});
