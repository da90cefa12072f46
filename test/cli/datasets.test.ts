import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { Api } from '../harness/api.js';
import { startCommand, trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { freePort } from '../harness/free-port.js';
import { eventually, temporaryFolder } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const RAILWAY = fileURLToPath(new URL('../../examples/railway', import.meta.url));

const server = await sharedServer();
const api = await server.api();
const home = await temporaryFolder();
const stopped = `http://127.0.0.1:${await freePort()}`;
beforeAll(async () => {
  await run(['login', `${server.url}/`], { input: `${api.token}\n` });
  await run(['push', RAILWAY]);
  const id = await api.newDataset('broken');
  await api.upload(id, 'bare.jpg', await media.jpeg());
});
afterAll(() => rm(home, { recursive: true, force: true }));

/** Runs a command of a user who has logged in. */
const run = (args: readonly string[], options: { env?: Record<string, string>; input?: string } = {}) =>
  trainyard(args, { ...options, env: { XDG_CONFIG_HOME: home, ...options.env } });

async function idOf(name: string): Promise<string | undefined> {
  return (await api.list(`?name=${name}`)).body.datasets[0]?.id;
}

describe('login', () => {
  test('saves the URL and the token in a file that only the user can read, and prints its path', async () => {
    const fresh = await folderWith({});
    const env = { XDG_CONFIG_HOME: fresh };
    const path = join(fresh, 'trainyard', 'config.json');
    const { code, stdout } = await run(['login', server.url], { env, input: `${api.token}\n` });
    expect([code, stdout]).toEqual([0, expect.stringContaining(path)]);
    expect(stdout).not.toContain(api.token);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ url: server.url, token: api.token });
    expect((await stat(path)).mode & 0o077).toBe(0);
    const again = await run(['login', server.url, '--token', api.token, '--json'], { env });
    expect(again.json()).toMatchObject({ url: server.url, saved_in: path });
  });

  test.each([
    ['an unknown token', server.url, 'ty_wrong', 77, 'Nothing was saved'],
    ['no token', server.url, '', 64, 'no token.*pipe it.*--token'],
    ['a URL without http://', '127.0.0.1:8787', 'x', 78, 'http://127.0.0.1:8787'],
    ['a stopped service', stopped, 'x', 69, 'Is the service running'],
    ['a host that does not exist', 'http://trainyard.invalid', 'x', 69, "can't be reached"],
    ['a page that is not a service', `${server.url}/elsewhere`, 'x', 66, 'does not exist'],
  ])('rejects %s', async (_, url, input, code, reason) => {
    const fresh = await folderWith({});
    const ended = await run(['login', url], { env: { XDG_CONFIG_HOME: fresh }, input });
    expect([ended.code, ended.stderr]).toEqual([code, expect.stringMatching(new RegExp(reason, 'i'))]);
    await expect(stat(join(fresh, 'trainyard'))).rejects.toThrow('ENOENT');
  });
});

describe('ls, status and show', () => {
  test('ls lists all datasets, or those with one status', async () => {
    const { stdout } = await run(['ls']);
    expect(stdout).toMatch(/^broken +FAILED +1 image /m);
    expect(stdout).toMatch(
      /^railway +READY +12 images, 1 video, 13 captions +223 kB +\d{4}-\d\d-\d\d \d\d:\d\d {2}\w+$/m,
    );
    expect((await run(['ls', '--status', 'READY', '--json'])).json().datasets).toMatchObject([{ name: 'railway' }]);
    for (const [args, code, words] of [
      [['show', 'railwya'], 66, 'Did you mean "railway"?'],
      [['show', 'photos'], 66, 'trainyard ls'],
      [['ls', '--status', 'DONE'], 64, 'UPLOADING'],
    ] as const) {
      expect(await run(args)).toMatchObject({ code, stderr: expect.stringContaining(words) });
    }
  });

  test('status lists the problems, and exits with 1 if the dataset is FAILED', async () => {
    expect((await run(['status', 'railway'])).stdout).toMatch(/^READY {2}digest \w{64}$/m);
    const broken = await run(['status', 'broken']);
    expect([broken.code, broken.stdout]).toEqual([1, expect.stringMatching(/^FAILED {2}bare\.jpg has no caption/m)]);
    const json = await run(['status', (await idOf('broken'))!, '--json']);
    expect(json.code).toBe(1);
    expect(json.json()).toMatchObject({ name: 'broken', error: { problems: [{ filename: 'bare.jpg' }] } });
  });

  test('status --watch waits until the dataset is READY', async () => {
    const id = await api.newDataset('watched');
    const running = startCommand(['status', 'watched', '--watch', '--json'], { env: { XDG_CONFIG_HOME: home } });
    await eventually(() => (running.stdout().includes('DRAFT') ? true : undefined));
    await api.links(id, { 'a.jpg': 5 });
    await api.upload(id, 'a.txt', 'x');
    await api.upload(id, 'a.jpg', await media.jpeg());
    const { code, stdout } = await running.ended;
    const statuses = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).status);
    expect([code, statuses[0], statuses.at(-1)]).toEqual([0, 'DRAFT', 'READY']);
    await run(['rm', 'watched', '--yes']);
  });

  test('show prints each file with its size, dimensions and caption', async () => {
    const { stdout } = await run(['show', 'railway']);
    expect(stdout).toMatch(/^yard_01\.jpg +21\.6 kB +768×512 +a red boxcar with a grey curved roof/m);
    expect(stdout).toMatch(/^yard_13\.mp4 +29\.0 kB +512×384, 1\.5 s, 24 fps +a green steam locomotive/m);
    expect((await run(['show', 'broken'])).stdout).toMatch(/^bare\.jpg .* none$/m);
    const { files } = (await run(['show', 'railway', '--json'])).json();
    const caption = files.find(({ filename }: { filename: string }) => filename === 'yard_01.txt');
    expect(caption.caption).toBe(await readFile(join(RAILWAY, 'yard_01.txt'), 'utf8'));
    expect((await run(['show', 'railway', '--no-captions'])).stdout).toContain('yard_01.txt');
  });
});

describe('rm and open', () => {
  test('rm asks for confirmation, and needs --yes without a terminal', async () => {
    await api.newDataset('doomed');
    expect(await run(['rm', 'doomed'])).toMatchObject({ code: 64, stderr: expect.stringContaining('--yes') });
    expect((await run(['rm', 'doomed', '--json'])).code).toBe(64);
    expect((await run(['rm', 'doomed', '--yes', '--json'])).json()).toMatchObject({ name: 'doomed', deleted: true });
    const gone = await run(['rm', 'doomed', '--yes', '--json']);
    const error = { code: 'NO_INPUT', exit_code: 66, message: expect.stringContaining('no dataset "doomed"') };
    expect([gone.code, gone.stderr, gone.json().error]).toEqual([66, '', error]);
  });

  test('open prints the URL of the page, or that the service has no pages', async () => {
    const own = await run(['open', 'railway', '--json']);
    const { url, id } = own.json();
    expect([own.code, url.split('#')[0]]).toEqual([0, `${server.url}/datasets/${id}`]);
    expect(url.split('#')[1]).toMatch(/^code=tyc_[\w-]{43}&token=[0-9a-f]{8}$/);
    expect((await run(['open'])).stdout).toMatch(`${server.url}/#code=tyc_`);
    expect((await fetch(url)).headers.get('content-type')).toContain('text/html');
  });
});

test('share prints a link, lists it, and revokes it', async () => {
  const id = await idOf('railway');
  const made = await run(['share', 'railway', '--days', '1', '--for', 'Ada']);
  const [share, secret] = [/--revoke (\w+)/.exec(made.stderr)?.[1] ?? '', /#share=(\S+)/.exec(made.stdout)?.[1] ?? ''];
  expect([made.code, made.stdout]).toEqual([0, `${server.url}/shared/datasets/${id}#share=${secret}\n`]);
  const visitor = new Api(server.url, secret);
  expect((await visitor.list()).body.datasets.map(({ name }) => name)).toEqual(['railway']);
  expect((await run(['share', 'railway', '--list'])).stdout).toMatch(new RegExp(`${share} +Ada `));
  const listed = (await run(['share', 'railway', '--list', '--json'])).json();
  expect(listed).toMatchObject({ name: 'railway', shares: [{ id: share, kind: 'share' }] });
  const daysOf = ({ expires_at: end }: { expires_at: string }) =>
    (Date.parse(`${end.slice(0, 23)}Z`) - Date.now()) / 86_400_000;
  expect(daysOf(listed.shares[0])).toBeCloseTo(1, 1);
  expect((await run(['share', 'broken', '--revoke', share])).code).toBe(66);
  const revoked = await run(['share', 'railway', '--revoke', share]);
  expect(revoked.stdout).toContain(`Revoked the link ${share} of "railway"`);
  expect((await visitor.list()).status).toBe(401);
  expect((await run(['share', 'railway', '--list'])).stdout).toContain('No link shows "railway"');
  const forWeek = (await run(['share', 'railway', '--json'])).json();
  expect(daysOf(forWeek)).toBeCloseTo(7, 1);
  expect(forWeek).toEqual({
    id: expect.any(String),
    dataset_id: id,
    url: expect.stringContaining('#share='),
    expires_at: expect.any(String),
  });
  for (const options of [
    ['--days', '366'],
    ['--list', '--revoke', 'x'],
  ]) {
    expect([options, (await run(['share', 'railway', ...options])).code]).toEqual([options, 64]);
  }
});

describe('every command', () => {
  test('exits with 64 for invalid arguments, and with --json prints the error as a document', async () => {
    for (const args of [['ls', '--\u001b[2J'], ['status'], ['nonsense'], []]) {
      const ended = await run(args);
      expect(ended).toMatchObject({ code: 64, stdout: '', stderr: expect.stringMatching(/trainyard|error/) });
      expect(ended.stderr).not.toContain('\u001b');
    }
    const { code, stderr, json } = await run(['ls', '--bogus', '--json']);
    const error = { code: 'USAGE', exit_code: 64, message: "unknown option '--bogus'" };
    expect([code, stderr, json().error]).toEqual([64, '', error]);
  });

  test('prints an error of the service with its code', async () => {
    const { code, json } = await run(['ls', '--json', '--token', 'ty_no']);
    expect([code, json().error]).toMatchObject([77, { code: 'NO_PERMISSION', error_code: 401001 }]);
  });
});
