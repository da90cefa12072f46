import { afterAll, expect, test } from 'vitest';
import { startReceiver } from '../harness/receiver.js';
import { sharedServer } from '../harness/shared-server.js';
import { commandsOn } from './commands.js';

const { run } = await commandsOn(await sharedServer());
const receiver = await startReceiver();
afterAll(() => receiver.close());

const webhook = (...args: string[]) => run(['webhook', ...args]);

test('webhook add, ls, test, deliveries, resend, disable, enable and rm', async () => {
  const added = await webhook('add', receiver.url, '--event', 'dataset.ready');
  expect([added.code, added.stdout]).toEqual([0, expect.stringMatching(/^whsec_\S{44}\n$/)]);
  const [, id = ''] = /made webhook (\S+) for dataset\.ready/.exec(added.stderr) ?? [];
  expect((await webhook('ls')).stdout).toMatch(new RegExp(`${id}  enabled  dataset\\.ready  ${receiver.url}\n`));
  const tested = await webhook('test', id);
  expect([tested.code, tested.stdout]).toEqual([0, 'The receiver answered 204.\n']);
  receiver.answer = (response) => response.writeHead(500).end();
  const failed = await webhook('test', id, '--json');
  expect([failed.code, failed.json()]).toMatchObject([1, { state: 'waiting', answer: 500, attempts: 1 }]);
  const { stdout } = await webhook('deliveries', id);
  expect(stdout).toMatch(/webhook\.test .* next attempt .* The receiver answered 500\./);
  receiver.answer = (response) => response.writeHead(204).end();
  expect((await webhook('resend', id, failed.json().id)).code).toBe(0);
  expect((await webhook('disable', id)).stdout).toBe(`Webhook ${id} is disabled.\n`);
  expect((await webhook('test', id)).stderr).toContain(`Run: trainyard webhook enable ${id}`);
  expect((await webhook('enable', id)).stdout).toBe(`Webhook ${id} is enabled.\n`);
  expect((await webhook('rm', id)).code).toBe(0);
  expect((await webhook('ls')).stdout).toContain('trainyard webhook add URL');
  expect((await webhook('rm', id)).code).toBe(66);
  const refused = await webhook('add', 'http://10.0.0.1/');
  expect([refused.code, refused.stderr]).toEqual([65, expect.stringContaining('--webhook-allow')]);
});
