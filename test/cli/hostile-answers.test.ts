import { describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/base-path.js';
import { trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { documentsOf, type ScriptedService, sendJson, startScriptedService } from '../harness/scripted-service.js';

const DATASET = { id: 'd1', name: 'railway', files: { 'a.jpg': Buffer.alloc(3000, 'a'), 'a.txt': 'a wagon' } };
const documents = documentsOf(DATASET);
const [dataset] = documents.list.datasets;

/** Sets the clipboard, shows text in another order, and begins another line. */
const HARM = '\u001b]52;c;cm0gLXJmIH4=\u0007\u202egnp.exe\ntrainyard: all is well; $(rm -rf ~)';
const UNSAFE = /[^\P{Cc}\n]|\p{Bidi_Control}|^trainyard: all is well/mu;

const run = (args: readonly string[], { url }: ScriptedService) =>
  trainyard(args, { env: { TRAINYARD_URL: url, TRAINYARD_TOKEN: 'ty_secret', HOME: '/nowhere' } });

describe('a share link', () => {
  const TIME = '2025-07-22T13:05';
  const share = {
    ...{ id: '3f9a1c20', kind: 'share', name: null, hint: 'ty', read_only: true, datasets: null, created_at: TIME },
    ...{
      last_used_at: null,
      expires_at: TIME,
      made_by: null,
      current: false,
      secret: 's',
      url: 'https://x.example/#s',
    },
  };
  const startSharing = (name: string, fields: object) =>
    startScriptedService(DATASET, ({ method, path }, response) => {
      if (path === BASE_PATH) return sendJson(response, 200, { datasets: [{ ...dataset, name }] });
      if (!path.endsWith('/shares')) return false;
      const made = { ...share, ...fields };
      return sendJson(response, 200, method === 'POST' ? made : { tokens: [made] });
    });

  test('is printed with the command that revokes it, as a shell takes it', async () => {
    for (const [name, word] of [
      ['railway', 'railway'],
      ['red $(wagons)', "'red $(wagons)'"],
    ] as const) {
      const { code, stdout, stderr } = await run(['share', 'd1'], await startSharing(name, {}));
      expect([code, stdout]).toEqual([0, 'https://x.example/#s\n']);
      expect(stderr).toMatch(/^Who has this link sees .* until 2025-07-22 13:05 UTC\. It is not shown again\.\n/);
      expect(stderr.split('\n')[1]).toBe(`To revoke it: trainyard share ${word} --revoke 3f9a1c20`);
    }
  });

  test('is printed without control characters of the server', async () => {
    const service = await startSharing(HARM, { id: HARM, name: HARM, expires_at: `${TIME}${HARM}` });
    const made = await run(['share', 'd1'], service);
    expect([made.code, made.stderr.split('\n').length]).toEqual([0, 3]);
    expect(made.stderr).not.toMatch(UNSAFE);
    const listed = await run(['share', 'd1', '--list'], service);
    expect([listed.code, listed.stdout.split('\n').length]).toEqual([0, 3]);
    expect(listed.stdout).not.toMatch(UNSAFE);
  });
});

test('ids and roles of a server are printed on one line', async () => {
  const harmed = { ...dataset, id: `d1${HARM}`, role: HARM };
  const service = await startScriptedService(DATASET, ({ path }, response) => {
    if (path === BASE_PATH) return sendJson(response, 200, { datasets: [harmed] });
    return path.includes('/status') ? sendJson(response, 200, { ...documents.status, ...harmed }) : false;
  });
  const folder = await folderWith({ 'b.txt': 'b' }, 'railway');
  for (const command of ['ls', 'status railway', 'show railway', 'role railway', 'train-config railway', 'push']) {
    const args = command === 'push' ? ['push', folder, '--role', 'mask'] : command.split(' ');
    const { stdout, stderr } = await run(args, service);
    expect(`${stdout}${stderr}`, command).toContain('all is well');
    expect(`${stdout}${stderr}`, command).not.toMatch(UNSAFE);
  }
});

describe('an answer', () => {
  test('with a reason phrase that is not ASCII is read', async () => {
    const body = JSON.stringify({ datasets: [dataset] });
    const service = await startScriptedService(DATASET, (_request, response) => {
      const head = `HTTP/1.1 200 \u4f60\u597d\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
      response.socket?.end(head + body);
    });
    expect(await run(['ls'], service)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('railway'),
    });
  });
});
