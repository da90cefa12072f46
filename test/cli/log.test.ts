import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { logText } from '../../src/cli/commands/serve.js';
import { folderWith } from '../harness/folder.js';
import { COMMAND } from '../harness/server.js';

const run = promisify(execFile);

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

test.each([
  ['', false],
  ['--log json', true],
])('on a terminal, serve %s prints a block, and JSON lines: %j', async (flags, hasJson) => {
  const folder = await folderWith({});
  const line = `exec '${process.execPath}' '${COMMAND}' serve --port 0 --data '${folder}/data' ${flags}`;
  // A terminal of its own, which ctrl-C ends once the block is complete.
  const script = `import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execvp("sh", ["sh", "-c", sys.argv[1]])
text, stopped = b"", 0
while True:
    try: part = os.read(fd, 65536)
    except OSError: break
    if not part: break
    text += part
    if b"railway\\r\\n" in text and not stopped:
        stopped = os.write(fd, b"\\x03")
sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
  const { stdout } = await run('python3', ['-c', script, line]);
  for (const part of ['trainyard serves http://127.0.0.1:', '/#token=ty_', `${folder}/data`, 'ffmpeg', '/docs']) {
    expect(stdout).toContain(part);
  }
  expect(/^\{"level"/m.test(stdout)).toBe(hasJson);
});
