import { type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { WireErrorCode } from '../../api/error-codes.js';
import { onceClosed } from '../bodies.js';
import type { FastifyInstance } from 'fastify';
import { type ErrorResponse, errorResponse, NOSNIFF } from '../errors.js';

/** The bytes that are read and discarded after an answer, and for how long, since a client may send before it reads. */
const LINGER_BYTES = 8 * 1024 * 1024;
const LINGER_MS = 2000;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** The latest request of each connection. */
const exchanges = new WeakMap<Socket, Exchange>();

/** Answers requests that Node would reject without a body, or not at all. */
export function registerMalformedRequests({ server }: FastifyInstance): void {
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    exchanges.set(request.socket, { request, response });
  });
  // Node would answer 417 by itself; `malformedRequestOf` rejects it in the same way as other requests.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  server.on('connect', (_request, socket: Socket) => {
    answerAndClose(socket, errorResponse('bad_request', 'CONNECT is not supported: this service is not a proxy.'));
  });
}

/**
 * The answer to a request that Node's parser accepts, but whose meaning is unclear or not supported
 * (RFC 9112, sections 3.2 and 6.1; RFC 9110, section 10.1.1); `undefined` for all others.
 */
export function malformedRequestOf({ headers, rawHeaders, httpVersion }: IncomingMessage): ErrorResponse | undefined {
  const isLatest = httpVersion === '1.1';
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  if (hosts > 1 || (hosts === 0 && isLatest)) {
    return errorResponse('bad_request', `The request has ${hosts === 0 ? 'no' : 'more than one'} Host header.`);
  }
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
    return errorResponse(
      'bad_request',
      `The Transfer-Encoding ${JSON.stringify(coding)} is not supported, only chunked.`,
    );
  }
  if (headers.expect !== undefined && headers.expect.trim().toLowerCase() !== '100-continue' && isLatest) {
    return errorResponse('expectation_failed', `The expectation ${JSON.stringify(headers.expect)} is not supported.`);
  }
  return undefined;
}

/** The errors of Node and its parser whose answer is not a plain 400. */
const CODES: Readonly<Record<string, readonly [WireErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The headers of the request have more than 16 KiB.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['too_large', 'The chunk extensions of the request have more than 16 KiB.'],
  HPE_INVALID_EOF_STATE: ['bad_request', 'The connection ended before the whole request had arrived.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_too_slow', 'The headers of the request did not arrive in time.'],
};

/** Answers bytes that are not HTTP. Fastify's own response would not have this API's error format. */
export function answerParseError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [code, message] = CODES[error.code ?? ''] ?? [
    'bad_request' as const,
    `This is not a valid HTTP request: ${error.message}`,
  ];
  const exchange = exchanges.get(socket);
  const answer = () => answerAndClose(socket, errorResponse(code, message));
  if (exchange === undefined || exchange.response.closed) {
    answer();
  } else if (exchange.request.complete) {
    // The bytes follow a valid request, whose response comes first.
    stopParsing(socket);
    onceClosed(exchange.response, () => socket.writable && answer());
  } else if (exchange.response.headersSent) {
    // Sends what has been written, such as an early rejection of the same request.
    socket.destroySoon();
  } else {
    answer();
  }
}

/** Sends an error response on a connection that has no response object, and closes the connection. */
function answerAndClose(socket: Socket, { status, body, headers }: ErrorResponse): void {
  const payload = JSON.stringify(body);
  const lines = Object.entries({
    ...headers,
    ...NOSNIFF,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(payload),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${payload}`);
  linger(socket);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

function stopParsing(socket: Socket): void {
  socket.removeAllListeners('data');
  // Node's parser reads from the connection directly until there is another reader.
  socket.on('data', () => {});
  socket.pause();
}

/** Discards what the client still sends. A connection that is closed with unread bytes is reset, and loses its answer. */
function linger(socket: Socket): void {
  stopParsing(socket);
  let bytes = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LINGER_BYTES) socket.pause();
  });
  socket.once('end', () => socket.destroySoon());
  socket.resume();
}
