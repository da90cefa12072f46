import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AllowedAddresses } from '../../../src/service/webhooks/allowed-addresses.js';
import { post } from '../../../src/service/webhooks/post.js';
import { type Receiver, startReceiver } from '../../harness/receiver.js';

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver.close());

const NO_NAMES = new Resolver();
const LOOPBACK = new AllowedAddresses(['127.0.0.0/8'], NO_NAMES);

const send = (url: string, options: { allowed?: AllowedAddresses; timeoutMs?: number; signal?: AbortSignal } = {}) =>
  post(new URL(url), { headers: {}, body: '{}', allowed: LOOPBACK, signal: new AbortController().signal, ...options });

describe('an attempt', () => {
  test('ends with the status, and does not follow a redirect', async () => {
    receiver.answer = (response) => response.writeHead(307, { location: '/elsewhere' }).end();
    expect(await send(receiver.url)).toEqual({ status: 307 });
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hook']);
  });

  test('reads no more than the beginning of an endless answer', async () => {
    let written = 0;
    receiver.answer = (response) => {
      response.writeHead(200);
      const write = () => {
        if (response.destroyed) return;
        written += 65_536;
        response.write(Buffer.alloc(65_536), write);
      };
      write();
    };
    expect(await send(receiver.url)).toEqual({ status: 200 });
    // What the buffers of two sockets hold.
    expect(written).toBeLessThan(20_000_000);
  });

  test('without an answer in time, or with one that is no HTTP, says so', async () => {
    receiver.answer = () => {};
    expect(await send(receiver.url, { timeoutMs: 50 })).toEqual({ failure: 'No answer within 0.05 seconds.' });
    receiver.answer = (response) => response.socket?.end('SSH-2.0-OpenSSH\r\n');
    expect(await send(receiver.url)).toEqual({ failure: 'The answer is not valid HTTP.' });
    receiver.answer = (response) => response.socket?.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n');
    expect(await send(receiver.url)).toEqual({ status: 101 });
    receiver.answer = (response) => response.destroy();
    expect(await send(receiver.url)).toEqual({ failure: 'The receiver closed the connection without an answer.' });
    expect(await send(receiver.url.replace('http', 'https'))).toEqual({ failure: expect.stringContaining('TLS') });
    const { url } = receiver;
    await receiver.close();
    expect(await send(url)).toEqual({ failure: 'The host refused the connection.' });
    receiver = await startReceiver();
  });

  test('ends at once when the server stops', async () => {
    const stopping = new AbortController();
    receiver.answer = () => stopping.abort(new Error('stopping'));
    await expect(send(receiver.url, { signal: stopping.signal })).rejects.toThrow('stopping');
  });
});

describe('allowed addresses', () => {
  const PUBLIC = new AllowedAddresses([], NO_NAMES);
  const accepts = (allowed: AllowedAddresses, url: string) => {
    try {
      allowed.checkUrl(new URL(url));
      return true;
    } catch {
      return false;
    }
  };

  test.each([
    ...['0.0.0.0', '10.1.2.3', '100.100.100.200', '127.0.0.1', '169.254.169.254', '172.31.0.1', '192.168.1.1'],
    ...['198.18.0.1', '224.0.0.1', '239.255.255.250', '255.255.255.255', '168.63.129.16', '2130706433', '0x7f.1'],
    ...['[::]', '[::1]', '[fe80::1]', '[fc00::1]', '[fd00:ec2::254]', '[ff02::1]', '[::ffff:8.8.8.8]', '[::127.0.0.1]'],
    ...['[64:ff9b::7f00:1]', '[64:ff9b:1::1]', '[2002:7f00:1::]', '[2001::1]', '[2001:db8::1]', '[fec0::1]'],
  ])('do not contain %s, unless the operator lists it', (host) => {
    expect(accepts(PUBLIC, `https://${host}/`)).toBe(false);
    expect(accepts(new AllowedAddresses(['0.0.0.0/0', '::/0'], NO_NAMES), `http://${host}/`)).toBe(true);
  });

  test('contain public ones over https, and over http only those that are listed', () => {
    for (const host of ['192.0.32.8', '[2600::1]']) {
      expect([accepts(PUBLIC, `https://${host}/`), accepts(PUBLIC, `http://${host}/`)]).toEqual([true, false]);
    }
    const listed = new AllowedAddresses(['192.0.32.8', '10.0.0.0/8', 'fd00::/8'], NO_NAMES);
    for (const host of ['192.0.32.8', '10.9.9.9', '[fd00::9]']) expect(accepts(listed, `http://${host}/`)).toBe(true);
    expect(accepts(listed, 'https://192.168.0.1/')).toBe(false);
  });
});

/** Answers every question for an IPv4 address with the next of `answers`, which starts anew after the last (RFC 1035). */
async function startNameServer(answers: readonly (readonly string[])[]): Promise<Socket> {
  const socket = createSocket('udp4');
  let asked = 0;
  socket.on('message', (question, { port, address }) => {
    const end = question.indexOf(0, 12) + 5;
    const isIpv4 = question.readUInt16BE(end - 4) === 1;
    const found = isIpv4 ? (answers[asked++ % answers.length] ?? []) : [];
    const records = found.map((each) =>
      Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...each.split('.').map(Number)]),
    );
    const header = Buffer.from(question.subarray(0, 12));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(found.length, 6);
    header.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([header, question.subarray(12, end), ...records]), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

test('a name that leads to an allowed and then to another address never leads to the other', async () => {
  // The same port on two addresses, of which only the second one is allowed.
  const allowedReceiver = await startReceiver({ host: '127.0.0.2', port: receiver.port });
  const nameServer = await startNameServer([['127.0.0.2'], ['127.0.0.1'], ['127.0.0.1', '127.0.0.2']]);
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${(nameServer.address() as AddressInfo).port}`]);
  const allowed = new AllowedAddresses(['127.0.0.2'], resolver);
  try {
    const url = `http://rebinding.example:${receiver.port}/hook`;
    const outcomes = [];
    for (let i = 0; i < 6; i++) outcomes.push(await send(url, { allowed }));
    const refused = { failure: expect.stringMatching(/^rebinding\.example is not a host of the public Internet/) };
    expect(outcomes).toEqual([0, 1].flatMap(() => [{ status: 204 }, refused, { status: 204 }]));
    expect(allowedReceiver.received.map(({ headers }) => headers.host)).toContain(`rebinding.example:${receiver.port}`);
    expect([allowedReceiver.connections(), receiver.connections()]).toEqual([4, 0]);
    // A name that the operator lists is trusted with any address.
    const trusted = new AllowedAddresses(['localhost'], NO_NAMES);
    expect(await send(receiver.url.replace('127.0.0.1', 'localhost'), { allowed: trusted })).toEqual({ status: 204 });
  } finally {
    nameServer.close();
    await allowedReceiver.close();
  }
});
