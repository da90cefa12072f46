import { spawn } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AllowedAddresses } from '../../../src/service/webhooks/allowed-addresses.js';
import { post } from '../../../src/service/webhooks/post.js';
import { newWebhookSecret, signedHeaders } from '../../../src/service/webhooks/webhook-service.js';
import { freePort } from '../../harness/free-port.js';
import { eventually } from '../../harness/server.js';

const PAGE = readFileSync(new URL('../../../docs/webhooks.md', import.meta.url), 'utf8');

const codeOf = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(PAGE)?.[1] ?? '';

test.each([
  ['js', process.execPath, ['--input-type=module', '--eval', codeOf('js')]],
  ['python', 'python3', ['-c', codeOf('python')]],
])('the receiver in the documentation accepts signed events only: %s', async (_, program, args) => {
  const [port, secret] = [await freePort(), newWebhookSecret()];
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, SECRET: secret, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const delivery = {
    id: 'msg_1',
    payload: JSON.stringify({ type: 'dataset.ready', timestamp: '', data: { name: 'Güterwagen' } }),
  };
  const now = Math.floor(Date.now() / 1000);
  const send = (headers: Record<string, string>) =>
    post(new URL(`http://127.0.0.1:${port}/`), {
      headers,
      body: delivery.payload,
      allowed: new AllowedAddresses(['127.0.0.1'], new Resolver()),
      signal: new AbortController().signal,
    });
  try {
    const valid = signedHeaders(delivery, { secret, timestamp: now });
    await eventually(async () => ('status' in (await send(valid)) ? true : undefined));
    await eventually(() => (output.includes('dataset.ready Güterwagen') ? true : undefined));
    expect(await send(valid)).toEqual({ status: 204 });
    const others = [
      signedHeaders(delivery, { secret: newWebhookSecret(), timestamp: now }),
      signedHeaders(delivery, { secret, timestamp: now - 3600 }),
      { ...valid, 'webhook-id': 'msg_2' },
    ];
    for (const headers of others) expect(await send(headers)).toEqual({ status: 401 });
    expect(child.exitCode).toBeNull();
  } finally {
    child.kill();
  }
});
