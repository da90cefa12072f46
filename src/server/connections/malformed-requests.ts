import { type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { WireErrorCode } from '../../api/error-codes.js';
import type { FastifyInstance } from 'fastify';
import { type ErrorResponse, errorResponse, NOSNIFF } from '../errors.js';

/** A client may still send before it reads the answer. */
const LINGER_MS = 2000;

/** The latest of each connection. */
const responses = new WeakMap<Socket, ServerResponse>();

/** For requests that Node would reject without a body, or not at all. */
export function registerMalformedRequests({ server }: FastifyInstance): void {
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    responses.set(request.socket, response);
  });
  // Otherwise Node answers 417 itself.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  server.on('connect', (_request, socket: Socket) => {
    answerAndClose(socket, errorResponse('bad_request', 'CONNECT is not supported: this service is not a proxy.'));
  });
}

/** For unclear or unsupported requests (RFC 9112, sections 3.2 and 6.1; RFC 9110, section 10.1.1); `undefined` for others. */
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

/** Errors of Node whose answer is not a plain 400. */
const CODES: Readonly<Record<string, readonly [WireErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The headers of the request have more than 16 KiB.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['too_large', 'The chunk extensions of the request have more than 16 KiB.'],
  HPE_INVALID_EOF_STATE: ['bad_request', 'The connection ended before the whole request had arrived.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_too_slow', 'The headers of the request did not arrive in time.'],
};

/** Fastify's own response would not have this API's error format. */
export function answerParseError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [code, message] = CODES[error.code ?? ''] ?? [
    'bad_request' as const,
    `This is not a valid HTTP request: ${error.message}`,
  ];
  const response = responses.get(socket);
  if (response === undefined || response.closed || !response.headersSent) {
    answerAndClose(socket, errorResponse(code, message));
  } else {
    // An early rejection of the same request may have been written.
    socket.destroySoon();
  }
}

/** For a connection without a response object. */
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
  // With unread bytes, closing would reset the connection and lose the answer.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}
