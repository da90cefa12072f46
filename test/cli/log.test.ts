import { expect, test } from 'vitest';
import { logText } from '../../src/cli/commands/serve.js';
import { folderWith } from '../harness/folder.js';
import { needTerminal, openTerminal } from '../harness/terminal.js';

test.each([
  [{ level: 30, msg: 'checked a file' }, ''],
  [{ level: 40, msg: 'no ffmpeg found' }, 'warning: no ffmpeg found\n'],
  [{ level: 40, msg: 'a receiver answered 410', webhook: 'a1' }, 'warning: a receiver answered 410 (webhook a1)\n'],
  [
    { level: 50, msg: 'a job failed', kinds: ['mount'], err: { message: 'EIO' } },
    'error: a job failed (kinds ["mount"]): EIO\n',
  ],
  [{ level: 50, msg: 'EIO', err: { message: 'EIO' } }, 'error: EIO\n'],
  [{ level: 50, msg: 'not found', path: '/\u001b[2J\r' }, 'error: not found (path /\\u001b[2J\\u000d)\n'],
])('a person reads %j', (line, text) => {
  const written = logText(JSON.stringify({ time: 1, pid: 1, hostname: 'h', ...line }));
  expect(written).toBe(text);
});

test.for([
  ['', false],
  ['--log json', true],
] as const)('on a terminal, serve %s prints a block, and JSON lines: %j', async ([flags, hasJson], context) => {
  needTerminal(context);
  const folder = await folderWith({});
  const terminal = await openTerminal({ XDG_CONFIG_HOME: folder });
  await terminal.trainyard(`serve --port 0 --data '${folder}/data' ${flags}`);
  await terminal.waitFor(/railway\n/);
  await terminal.press('C-c');
  const screen = await terminal.waitFor(/ended with 0/);
  for (const part of ['trainyard serves http://127.0.0.1:', '/#token=ty_', `${folder}/data`, 'ffmpeg', '/docs']) {
    expect(screen).toContain(part);
  }
  expect(/^\{"level"/m.test(screen)).toBe(hasJson);
});
