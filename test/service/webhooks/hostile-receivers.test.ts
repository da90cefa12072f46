import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { AllowedAddresses } from '../../../src/service/webhooks/allowed-addresses.js';
import { post } from '../../../src/service/webhooks/post.js';

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
  ['301 to another port', redirect(301, 'http://127.0.0.1:1/'), { status: 301 }],
  ['302 to a file', redirect(302, 'file:///etc/passwd'), { status: 302 }],
  ['303 to a metadata service', redirect(303, 'http://169.254.169.254/'), { status: 303 }],
  ['308 to itself', redirect(308, '/'), { status: 308 }],
  ['a body that never comes', start(`${OK}content-length: 9\r\n\r\n`), { status: 200 }],
  ['a body of small chunks without end', endless(CHUNKED, '1\r\na\r\n'), { status: 200 }],
  ['a chunk extension without end', endless(`${CHUNKED}1;`, 'y'), { status: 200 }],
  ['trailers without end', endless(`${CHUNKED}0\r\n`, 'x: y\r\n'), { status: 200 }],
  ['a body that is cut off', all(`${OK}content-length: 9\r\n\r\nabc`), { status: 200 }],
  ['a large body in gzip', all(`${OK}content-encoding: gzip\r\n\r\n`, ZIPPED), { status: 200 }],
  ['two answers', all(`${OK}content-length: 0\r\n\r\nHTTP/1.1 410 Gone\r\n\r\n`), { status: 200 }],
  ['a switch of protocols', start('HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'), { status: 101 }],
  ['100 Continue without end', endless('', 'HTTP/1.1 100 Continue\r\n\r\n'), ONLY_INTERIM],
  ['103 Early Hints without end', endless('', 'HTTP/1.1 103 H\r\nlink: </a>\r\n\r\n'), ONLY_INTERIM],
  ['an interim answer, then one', all(`HTTP/1.1 100 Continue\r\n\r\n${OK}\r\n`), { status: 200 }],
  ['an interim answer, and no other', start('HTTP/1.1 102 Processing\r\n\r\n'), LATE],
  ['headers without end', endless(OK, 'x: y\r\n'), INVALID],
  ['a header without end', endless(`${OK}x: `, 'y'), INVALID],
  ['a reason without end', endless('HTTP/1.1 200 ', 'y'), INVALID],
  ['HTTP/0.9', all('<html>'), INVALID],
  ['headers that are cut off', all(`${OK}content-le`), CLOSED],
  ['part of a status', start('HTTP/1.1 20'), LATE],
])('a receiver that answers with %s', async (_, answer, outcome) => {
  const allowed = new AllowedAddresses(['127.0.0.1'], new Resolver());
  const { signal } = new AbortController();
  const options = { headers: {}, body: '{}', allowed, timeoutMs: 500, signal };
  expect(await post(await startRaw(answer), options)).toEqual(outcome);
});

const NO_TLS = { failure: expect.stringMatching(/^The receiver does not speak TLS\. Check that the URL begins/) };
const NO_HANDSHAKE = { failure: 'No answer within 0.5 seconds.' };
const REJECTED = { failure: expect.stringMatching(/^The receiver rejected the TLS connection with alert 40\./) };
const HANDSHAKE_FAILURE = Buffer.from([21, 3, 3, 0, 2, 2, 40]);

test.each<[string, (socket: Socket) => void, object]>([
  ['nothing', () => {}, NO_HANDSHAKE],
  ['the beginning of a record', start('\x16\x03\x03'), NO_HANDSHAKE],
  ['a valid answer without TLS', all(`${OK}\r\n`), NO_TLS],
  ['an alert', all('', HANDSHAKE_FAILURE), REJECTED],
  ['the end of the connection', all(''), CLOSED],
])('a receiver that answers a TLS handshake with %s', async (_, answer, outcome) => {
  const allowed = new AllowedAddresses(['127.0.0.1'], new Resolver());
  const url = await startRaw(answer);
  url.protocol = 'https:';
  const options = { headers: {}, body: '{}', allowed, timeoutMs: 500, signal: new AbortController().signal };
  expect(await post(url, options)).toEqual(outcome);
});
