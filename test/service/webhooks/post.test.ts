import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
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

test('an attempt says that the host refused the connection', async () => {
  const other = await startReceiver();
  await other.close();
  expect(await send(other.url)).toEqual({ failure: 'The host refused the connection.' });
});

test('an attempt ends at once when the server stops', async () => {
  const stopping = new AbortController();
  receiver.answer = () => stopping.abort(new Error('stopping'));
  await expect(send(receiver.url, { signal: stopping.signal })).rejects.toThrow('stopping');
});

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
])('allowed addresses do not contain %s, unless the operator lists it', (host) => {
  expect(accepts(PUBLIC, `https://${host}/`)).toBe(false);
  expect(accepts(new AllowedAddresses(['0.0.0.0/0', '::/0'], NO_NAMES), `http://${host}/`)).toBe(true);
});

test('allowed addresses contain public ones over https, and over http only those that are listed', () => {
  for (const host of ['192.0.32.8', '[2600::1]']) {
    expect([accepts(PUBLIC, `https://${host}/`), accepts(PUBLIC, `http://${host}/`)]).toEqual([true, false]);
  }
  const listed = new AllowedAddresses(['192.0.32.8', '10.0.0.0/8', 'fd00::/8'], NO_NAMES);
  for (const host of ['192.0.32.8', '10.9.9.9', '[fd00::9]']) expect(accepts(listed, `http://${host}/`)).toBe(true);
  expect(accepts(listed, 'https://192.168.0.1/')).toBe(false);
});

/** Answers every question for an IPv4 address with the next of `answers`, which starts anew after the last (RFC 1035). */
async function startNameServer(answers: readonly (readonly string[])[]): Promise<DatagramSocket> {
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
    const overTls = () => allowed.resolve(new URL('https://rebinding.example/')).catch(() => 'refused');
    const reachable = [{ address: '127.0.0.2', family: 4 }];
    expect([await overTls(), await overTls(), await overTls()]).toEqual([reachable, 'refused', reachable]);
    // A name that the operator lists is trusted with any address.
    const trusted = new AllowedAddresses(['localhost'], NO_NAMES);
    expect(await send(receiver.url.replace('127.0.0.1', 'localhost'), { allowed: trusted })).toEqual({ status: 204 });
  } finally {
    nameServer.close();
    await allowedReceiver.close();
  }
});

/** Starts a receiver that answers the first bytes of a request. @returns its URL */
async function startRaw(answer: (socket: Socket) => void): Promise<URL> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).once('data', () => answer(socket)));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

/** Writes `head`, and then `repeated` until the connection closes. */
const endless = (head: string, repeated: string) => (socket: Socket) => {
  const chunk = Buffer.from(repeated.repeat(Math.ceil(65_536 / repeated.length)));
  const write = () => {
    if (!socket.destroyed) socket.write(chunk, write);
  };
  socket.write(head, write);
};
const all =
  (text: string, body: string | Buffer = '') =>
  (socket: Socket) => {
    socket.write(text);
    socket.end(body);
  };
const start = (text: string) => (socket: Socket) => socket.write(text);

const OK = 'HTTP/1.1 200 OK\r\n';
const ZIPPED = gzipSync(Buffer.alloc(100_000_000));
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;
const INVALID = { failure: 'The answer is not valid HTTP.' };
const CLOSED = { failure: 'The receiver closed the connection without an answer.' };
const LATE = { failure: 'No answer within 0.5 seconds.' };
const ONLY_INTERIM = { failure: 'The receiver sent only interim answers, such as 100 Continue.' };
const redirect = (status: number, location: string) =>
  all(`HTTP/1.1 ${status} Moved\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`);

test.each<[string, (socket: Socket) => void, object]>([
  ['303 to a metadata service', redirect(303, 'http://169.254.169.254/'), { status: 303 }],
  ['308 to itself', redirect(308, '/'), { status: 308 }],
  ['a body that never comes', start(`${OK}content-length: 9\r\n\r\n`), { status: 200 }],
  ['a body of small chunks without end', endless(CHUNKED, '1\r\na\r\n'), { status: 200 }],
  ['trailers without end', endless(`${CHUNKED}0\r\n`, 'x: y\r\n'), { status: 200 }],
  ['a body that is cut off', all(`${OK}content-length: 9\r\n\r\nabc`), { status: 200 }],
  ['a large body in gzip', all(`${OK}content-encoding: gzip\r\n\r\n`, ZIPPED), { status: 200 }],
  ['a switch of protocols', start('HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'), { status: 101 }],
  ['100 Continue without end', endless('', 'HTTP/1.1 100 Continue\r\n\r\n'), ONLY_INTERIM],
  ['an interim answer, and no other', start('HTTP/1.1 102 Processing\r\n\r\n'), LATE],
  ['headers without end', endless(OK, 'x: y\r\n'), INVALID],
  ['HTTP/0.9', all('<html>'), INVALID],
  ['headers that are cut off', all(`${OK}content-le`), CLOSED],
  ['part of a status', start('HTTP/1.1 20'), LATE],
])('a receiver that answers with %s', async (_, answer, outcome) => {
  expect(await send((await startRaw(answer)).href, { timeoutMs: 500 })).toEqual(outcome);
});

const NO_TLS = { failure: expect.stringMatching(/^The receiver does not speak TLS\. Check that the URL begins/) };
const REJECTED = { failure: expect.stringMatching(/^The receiver rejected the TLS connection with alert 40\./) };
const HANDSHAKE_FAILURE = Buffer.from([21, 3, 3, 0, 2, 2, 40]);

test.each<[string, (socket: Socket) => void, object]>([
  ['nothing', () => {}, LATE],
  ['the beginning of a record', start('\x16\x03\x03'), LATE],
  ['a valid answer without TLS', all(`${OK}\r\n`), NO_TLS],
  ['an alert', all('', HANDSHAKE_FAILURE), REJECTED],
  ['the end of the connection', all(''), CLOSED],
])('a receiver that answers a TLS handshake with %s', async (_, answer, outcome) => {
  const { port } = await startRaw(answer);
  expect(await send(`https://127.0.0.1:${port}/`, { timeoutMs: 500 })).toEqual(outcome);
});
