import { type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as pollConnections, setTimeout as wait } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WireErrorCode } from '../api/error-codes.js';
import { ServiceError } from '../dataset/errors.js';
import { openFileLimit } from '../open-file-limit.js';
import { Quota } from '../storage/limits.js';
import { type ErrorResponse, NOSNIFF, errorResponse } from './errors.js';

const MAX_LISTENERS = 40;

export function connectionClosed(): ServiceError {
  return new ServiceError('upload_cut_short', 'The connection closed before the request was answered. Send it again.');
}

/** Calls `work` at once if the response has closed, as while its request waited. */
export function onceClosed(response: ServerResponse, work: () => void): void {
  if (response.destroyed) work();
  // Node warns of more than ten listeners, and some are its own and Fastify's.
  else response.setMaxListeners(MAX_LISTENERS).once('close', work);
}

export function hasUnreadBody({ raw }: FastifyRequest): boolean {
  return !raw.complete && (raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length']) > 0);
}

/** RFC 9112, section 9.3.2. Node hands over all requests at once, and tells only the first of them about a disconnect. */
export function handleSequentially(app: FastifyInstance): void {
  const latest = new WeakMap<Socket, ServerResponse>();
  app.addHook('onRequest', async ({ raw: { socket } }, reply) => {
    const previous = latest.get(socket);
    latest.set(socket, reply.raw);
    if (previous === undefined || previous.closed) return undefined;
    await new Promise<void>((resolve) => onceClosed(previous, resolve));
    return socket.destroyed ? reply.hijack() : undefined;
  });
}

/** Once for each request, also when its client has gone, for which Fastify does not call `onResponse`. */
export function onceAnswered(
  scope: FastifyInstance,
  work: (request: FastifyRequest, reply: FastifyReply) => void,
): void {
  const answered = new WeakSet<FastifyRequest>();
  const end = (request: FastifyRequest, reply: FastifyReply) => {
    if (answered.has(request)) return;
    answered.add(request);
    work(request, reply);
  };
  scope.addHook('onResponse', async (request, reply) => end(request, reply));
  scope.addHook('onSend', async (request, reply) => onceClosed(reply.raw, () => end(request, reply)));
}

/** Fires once the response has closed, also after all of it was sent. */
export function closedSignal(reply: FastifyReply): AbortSignal {
  const closed = new AbortController();
  onceClosed(reply.raw, () => closed.abort(connectionClosed()));
  return closed.signal;
}

/** Only for clients that take no byte: without the listener, Node would also close connections whose response takes long. */
export function endStalledResponses({ server }: FastifyInstance): void {
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    response.on('timeout', () => {
      // A reset frees bytes that the kernel holds for the client.
      if (socket.writableLength > 0) socket.resetAndDestroy();
    });
  });
}

/** Without a new connection or request. */
const QUIET_MS = 300;
const MAX_DRAIN_MS = 3000;

/**
 * The first step of a graceful shutdown, before `stop` of `app.ts` closes the server and everything behind it. For an app that does
 * not listen yet.
 */
export function registerDrain(app: FastifyInstance) {
  /** Its reason is ServiceError `shutting_down`. */
  const stopping = new AbortController();
  app.addHook('onRequest', async () => {
    stopping.signal.throwIfAborted();
  });
  app.addHook('onSend', async (_request, reply) => {
    if (stopping.signal.aborted) reply.header('connection', 'close');
  });

  const unusedSockets = new Set<Socket>();
  let lastArrivalMs = Number.NEGATIVE_INFINITY;
  app.server.on('connection', (socket: Socket) => {
    lastArrivalMs = performance.now();
    unusedSockets.add(socket);
    socket.once('close', () => unusedSockets.delete(socket));
  });
  app.server.on('request', ({ socket }, response) => {
    lastArrivalMs = performance.now();
    unusedSockets.delete(socket);
    // Responses begun before draining have no "connection: close".
    onceClosed(response, () => {
      if (!app.server.listening) app.server.closeIdleConnections();
    });
  });
  /** Answers 503, which load balancers retry elsewhere, until no connection has come for 300 ms; at most for `maxMs` or 3 s. */
  const drain = async (maxMs: number): Promise<void> => {
    stopping.abort(new ServiceError('shutting_down', 'The server is shutting down. Try again.'));
    const deadline = performance.now() + Math.min(maxMs, MAX_DRAIN_MS);
    for (;;) {
      const now = performance.now();
      // Accepts earlier connections, for which the process may have had no time.
      await pollConnections();
      const remainingMs = Math.min(lastArrivalMs + QUIET_MS, deadline) - now;
      if (remainingMs <= 0) break;
      await wait(remainingMs);
    }
    // Node counts connections without a request, which clients open in advance, as busy.
    for (const socket of unusedSockets) socket.destroy();
  };
  return { stopping: stopping.signal, drain };
}

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
  // Node has taken its own listeners off the socket of a CONNECT, so that a reset would end the process.
  socket.on('error', () => {});
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

/** Fewer if the system allows fewer open files (`ulimit -n`). */
const MAX_CONNECTIONS = 10_000;

/** Their requests are answered with 503. Node closes further ones at once. */
const MAX_REJECTED = 100;

/** For the 256 folders of the store, the catalog, and pipes to inspection processes. */
const OTHER_FILES = 320;

/** Monitoring must not take a busy server for a dead one. */
const ALWAYS_ANSWERED = new Set(['/healthz', '/readyz', '/metrics']);

/** For a server that does not listen yet. */
export function limitConnections(app: FastifyInstance): { max: number; open: () => number } {
  const max = Math.min(MAX_CONNECTIONS, Math.max(1, openFileLimit() - OTHER_FILES));
  const rejected = new WeakSet<Socket>();
  let open = 0;
  app.server.maxConnections = max + MAX_REJECTED;
  app.server.on('connection', (socket: Socket) => {
    open++;
    socket.once('close', () => open--);
    if (open > max) rejected.add(socket);
  });
  app.addHook('onRequest', async ({ raw, routeOptions }) => {
    if (!rejected.has(raw.socket) || ALWAYS_ANSWERED.has(routeOptions.url ?? '')) return;
    const message = `The server has ${max} connections, its limit. Try again soon.`;
    throw new ServiceError('overloaded', message, { retryAfterSeconds: 1 });
  });
  app.addHook('onSend', async ({ raw }, reply) => {
    if (rejected.has(raw.socket)) reply.header('connection', 'close');
  });
  return { max, open: () => open };
}

/** The kernel takes smaller answers. */
const LARGE_BYTES = 64 * 1024;

/** An answer about ten thousand files has some megabytes. */
const MAX_BYTES_OF_ACCOUNT = 128 * 1024 * 1024;
const MAX_BYTES = 256 * 1024 * 1024;

/** Replaces what was counted of the response's unread bytes. */
export type HoldUnsent = (response: ServerResponse, unsent: { accountId: string; bytes: number }) => void;

/** Limits the memory of answers that wait for their clients. `hold` throws as a Quota does. */
export function limitUnsentAnswers(app: FastifyInstance): { quota: Quota; hold: HoldUnsent } {
  const quota = new Quota({
    ofAccount: MAX_BYTES_OF_ACCOUNT,
    ofAll: MAX_BYTES,
    what: 'bytes of answers that clients have not read yet',
  });
  const releases = new WeakMap<ServerResponse, () => void>();
  const hold: HoldUnsent = (response, { accountId, bytes }) => {
    if (response.destroyed) return;
    const release = releases.get(response);
    if (release === undefined) onceClosed(response, () => releases.get(response)?.());
    release?.();
    releases.set(response, bytes === 0 ? () => {} : quota.hold(accountId, bytes));
  };
  app.addHook('onSend', async ({ accountId = '' }, { raw }, payload) => {
    if (typeof payload !== 'string' && !Buffer.isBuffer(payload)) return payload;
    const bytes = Buffer.byteLength(payload);
    if (bytes < LARGE_BYTES) return payload;
    hold(raw, { accountId, bytes });
    // Node would keep both a text and its bytes.
    return typeof payload === 'string' ? Buffer.from(payload) : payload;
  });
  return { quota, hold };
}
