import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { serverUntil } from './harness/server.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const server = await serverUntil(afterAll, { 'caption-grace-seconds': 5 });

/** Runs `npm run acceptance` as a person would. */
function acceptance(...args: string[]): Promise<{ code: number | string | undefined; output: string }> {
  return new Promise((resolve) => {
    execFile('npm', ['run', '--silent', 'acceptance', '--', ...args], { cwd: ROOT }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? undefined), output: stdout + stderr });
    });
  });
}

test('a running server passes the acceptance tests, with two accounts', async () => {
  const [first, second] = [await server.api('first'), await server.api('second')];
  const { code, output } = await acceptance(server.url, first.token, second.token);
  expect(code, output).toBe(0);
  expect(output).toMatch(/Tests .*\d+ passed/);
  expect(output).not.toContain('Left out');
  expect((await first.list()).body.datasets).toEqual([]);
  expect((await second.list()).body.datasets).toEqual([]);
});

test('the acceptance tests fail with a token that the server does not know, and say what they leave out', async () => {
  const { code, output } = await acceptance(server.url, 'no-such-token');
  expect(code, output).toBe(1);
  expect(output).toMatch(/Tests .*\d+ failed/);
  expect(output).toContain('Left out');
});

test.each([[['http://127.0.0.1:1']], [['no-url', 'token']]])('start with usage for %j', async (args: string[]) => {
  const { code, output } = await acceptance(...args);
  expect([code, output]).toEqual([64, expect.stringContaining('Usage: npm run acceptance -- URL TOKEN')]);
});
