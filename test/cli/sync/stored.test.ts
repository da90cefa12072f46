import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { whyNoFfmpeg } from '../../harness/available.js';
import { folderWith } from '../../harness/folder.js';
import { discardServer, eventually, startServer, temporaryFolder, type TestServer } from '../../harness/server.js';
import { commandsOn } from '../commands.js';

const clip = (name: Parameters<typeof media.clip>[0]) => media.longClip(media.clip(name));
const [first, second, third] = [clip('faststart.mp4'), clip('moov-last.mp4'), clip('fragmented.mp4')];
const [intact, corrupt] = [clip('old.avi'), media.longClip(media.damaged.clip())];

const leftOut = whyNoFfmpeg();
const title = `files that a dataset has not stored yet${leftOut === undefined ? '' : `, left out: ${leftOut}`}`;
describe.skipIf(leftOut !== undefined)(title, () => {
  let server: TestServer;
  let on: Awaited<ReturnType<typeof commandsOn>>;
  let gate: string;
  beforeAll(async () => {
    const folder = await temporaryFolder();
    gate = join(folder, 'open');
    const [ffmpeg, ffprobe] = [join(folder, 'ffmpeg'), join(folder, 'ffprobe')];
    const pathOf = (program: string) => execFileSync('which', [program], { encoding: 'utf8' }).trim();
    const wait = `case "$*" in *-version*) ;; *) until [ -e '${gate}' ]; do sleep 0.02; done ;; esac`;
    await writeFile(ffprobe, `#!/bin/sh\n${wait}\nexec '${pathOf('ffprobe')}' "$@"\n`);
    await chmod(ffprobe, 0o755);
    await symlink(pathOf('ffmpeg'), ffmpeg);
    // Every clip is decoded after its answer, once the gate is open.
    server = await startServer({ 'caption-grace-seconds': 0, ffmpeg });
    on = await commandsOn(server);
  });
  afterAll(() => discardServer(server));

  const openGate = () => writeFile(gate, '');
  const closeGate = () => rm(gate, { force: true });

  /** A folder with an image, its caption and these files, on a machine of its own that has pushed it. */
  async function pushed(files: Record<string, Buffer | string>) {
    await openGate();
    const name = on.newName();
    const folder = await folderWith({ '0.jpg': await media.jpeg(), '0.txt': 'v0', ...files }, name);
    const { start, run } = await on.newMachine();
    expect(await run('push', folder)).toMatchObject({ code: 0 });
    const { id } = (await on.client.find(name))!;
    await closeGate();
    return {
      id,
      run,
      start,
      push: (...args: string[]) => run('push', folder, ...args),
      pull: (...args: string[]) => run('pull', name, folder, ...args),
      write: (file: string, bytes: Buffer | string) => writeFile(join(folder, file), bytes),
      read: (file: string) => readFile(join(folder, file)),
      list: async () => (await readdir(folder)).filter((file) => !file.startsWith('.')).sort(),
      folder,
    };
  }

  /** Waits until all was received, and a file with these bytes, or any, is being checked. */
  const isChecking = (id: string, bytes?: Buffer) =>
    eventually(async () => {
      const { counts, checking = [] } = (await on.api.status(id)).body;
      const sha256 = bytes && createHash('sha256').update(bytes).digest('hex');
      return (counts.pending === 0 && checking.some((file) => file.sha256 === (sha256 ?? file.sha256))) || undefined;
    });
  const isStored = (id: string) =>
    eventually(async () => (await on.api.status(id)).body.status === 'READY' || undefined);

  test('stay in the folder, are not sent again, and are in common once they are accepted', async () => {
    const { id, push, pull, write, read, list } = await pushed({ 'a.mp4': first, 'a.txt': 'clip' });
    await write('a.mp4', second);
    await write('b.mp4', third);
    await write('b.txt', 'another');
    expect((await push('--no-wait', '--json')).json()).toMatchObject({ sent: ['a.mp4', 'b.mp4', 'b.txt'] });
    await isChecking(id);
    const pulled = await pull('--replace', '--theirs', '--dry-run');
    expect(pulled.stdout).toMatch(/1 video is not stored in the dataset, .*: b\.mp4\. The folder keeps it\./);
    expect((await pull('--replace', '--json')).json()).toMatchObject({
      ...{ pulled: [], removed: [], conflicts: [], not_stored: ['b.mp4'] },
      kept: { changed_in_folder: ['a.mp4'] },
    });
    expect(await list()).toEqual(['0.jpg', '0.txt', 'a.mp4', 'a.txt', 'b.mp4', 'b.txt']);
    expect([second.equals(await read('a.mp4')), third.equals(await read('b.mp4'))]).toEqual([true, true]);
    expect((await push('--no-wait', '--json')).json()).toMatchObject({ sent: [], unchanged: { length: 6 } });
    await openGate();
    await isStored(id);
    expect((await pull('--json')).json()).toMatchObject({ unchanged: { length: 6 }, not_stored: [] });
    await on.api.json('DELETE', `/${id}/files`, { filenames: ['b.mp4', 'b.txt'] });
    expect((await pull('--replace', '--json')).json()).toMatchObject({ removed: ['b.mp4', 'b.txt'], conflicts: [] });
  });

  test('and are rejected are named, end the push with 65 if an earlier one stays, and stay in the folder', async () => {
    const { id, start, push, pull, write, read, folder } = await pushed({ 'a.avi': intact, 'a.txt': 'clip' });
    await write('a.avi', corrupt);
    const running = start('push', folder);
    await isChecking(id);
    await openGate();
    const { code, stdout } = await running.ended;
    expect([code, stdout]).toEqual([65, expect.stringMatching(/^✗ a\.avi: .*this file is kept: .*damaged/m)]);
    expect(stdout).toMatch(/^Sent nothing to .*3 files unchanged\.$/m);
    expect((await pull('--replace')).stdout).toContain('1 video is newer in the folder: a.avi.');
    expect(corrupt.equals(await read('a.avi'))).toBe(true);
    const again = await push('--json');
    expect([again.code, again.json()]).toMatchObject([65, { sent: [], failed: [{ filename: 'a.avi' }] }]);
    await write('a.avi', intact);
    const fixed = await push();
    expect([fixed.code, fixed.stdout]).toEqual([0, expect.stringMatching(/^! Another upload of a\.avi was rejected/m)]);
  });

  test('give way to a newer version of the same folder, and are a conflict with what another client sends', async () => {
    const { id, start, push, write, read, folder } = await pushed({ 'a.mp4': first, 'a.txt': 'clip' });
    const pushing = async (bytes: Buffer) => {
      await write('a.mp4', bytes);
      const running = start('push', folder);
      await isChecking(id, bytes);
      return running;
    };
    await write('a.mp4', second);
    expect(await push('--no-wait')).toMatchObject({ code: 0 });
    const newer = await pushing(third);
    await openGate();
    expect(await newer.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('READY') });
    await closeGate();
    const overtaken = await pushing(second);
    await on.api.upload(id, 'a.mp4', first);
    await openGate();
    expect(await overtaken.ended).toMatchObject({ code: 73, stdout: expect.stringContaining('a.mp4 is in conflict') });
    expect(second.equals(await read('a.mp4'))).toBe(true);
  });
});
