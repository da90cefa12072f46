import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isLoopback, serviceUrls } from '../../src/cli/commands/serve.js';
import { trainyard } from '../harness/command.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

const address = (each: string, internal = false) => {
  const family = each.includes(':') ? ('IPv6' as const) : ('IPv4' as const);
  return { address: each, internal, netmask: '', mac: '', cidr: null, ...ipv6(family) };
};
const ipv6 = (family: 'IPv4' | 'IPv6') => (family === 'IPv6' ? { family, scopeid: 0 } : { family });
const INTERFACES = {
  lo: [address('127.0.0.1', true), address('::1', true)],
  eth0: [address('192.168.1.5'), address('fe80::1'), address('fd00::5')],
};

test.each([
  ['127.0.0.1', ['http://127.0.0.1:87']],
  ['::1', ['http://[::1]:87']],
  ['data.example', ['http://data.example:87']],
  ['0.0.0.0', ['http://127.0.0.1:87', 'http://192.168.1.5:87']],
  ['::', ['http://[::1]:87', 'http://192.168.1.5:87', 'http://[fd00::5]:87']],
])('a service on %s can be opened at %j', (host, urls) => {
  expect(serviceUrls({ host, port: 87 }, INTERFACES)).toEqual(urls);
});

test('loopback addresses lead to the machine on which they are opened', () => {
  const hosts = ['127.0.0.1', '127.9.9.9', '[::1]', 'localhost', '192.168.1.5', 'data.example', '127.example'];
  expect(hosts.filter((host) => isLoopback(`http://${host}:87`))).toEqual(hosts.slice(0, 4));
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ host: '0.0.0.0' });
});
afterAll(() => discardServer(server));

test('a service on all addresses prints URLs that can be opened, and a command that can be run', async () => {
  expect(server.output()).not.toContain('http://0.0.0.0');
  expect((await fetch(server.url)).status).toBe(200);
  const [, install] = /npm i -g (\S+)/.exec(server.output()) ?? [];
  expect((await fetch(install ?? '')).status).toBe(200);
  expect(server.output()).toMatch(/run: trainyard token create --data \//);
});

test('https for a service without TLS says what to do', async () => {
  const { token } = await server.api();
  const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: token };
  const plain = createServer((_, response) => void response.end()).listen(0, '127.0.0.1');
  try {
    await once(plain, 'listening');
    const { port } = plain.address() as AddressInfo;
    const ended = await trainyard(['ls', '--url', `https://127.0.0.1:${port}`, '--token', token], { env });
    expect([ended.code, ended.stderr]).toEqual([69, expect.stringContaining('Does its URL begin with http://')]);
  } finally {
    plain.close();
  }
});
