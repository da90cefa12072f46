import { type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as pollConnections, setTimeout as wait } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WireErrorCode } from '../api/error-codes.js';
import { ServiceError } from '../dataset/errors.js';
import { MAX_DIRECT_BODY_BYTES, connectionClosed, contentLengthOf, onceClosed } from './bodies.js';
import { type ErrorResponse, NOSNIFF, errorResponse } from './errors.js';

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

/** Fires only before the response has been sent. */
export function disconnectSignal(reply: FastifyReply): AbortSignal {
  const disconnected = new AbortController();
  onceClosed(reply.raw, () => {
    if (!reply.raw.writableFinished) disconnected.abort(connectionClosed());
  });
  return disconnected.signal;
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

/** The first step of a graceful shutdown, before `stop` of `app.ts` closes the server and everything behind it. */
interface Drain {
  /** Fires when draining begins; the reason is ServiceError `shutting_down`. */
  readonly stopping: AbortSignal;
  /** Answers 503, which load balancers retry elsewhere, until no connection has come for 300 ms; at most for `maxMs` or 3 s. */
  readonly drain: (maxMs: number) => Promise<void>;
}

/** For an app that does not listen yet. */
export function registerDrain(app: FastifyInstance): Drain {
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
  const drain = async (maxMs: number) => {
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

const MAX_DISCARD_MS = 20_000;

/** Such a client has read the answer, or will never do so. */
const MAX_PAUSE_MS = 5000;

/** Longer bodies are left unread: the client waits and may read, while closing at once would lose the answer. */
const SHORT_BYTES = 8 * 1024 * 1024;

/** Clients such as Python's httpx read a response only after they have sent the whole body, so the rest is discarded. */
export function rejectEarly(request: FastifyRequest, reply: FastifyReply, response: ErrorResponse): void {
  const { raw } = request;
  const payload = JSON.stringify(response.body);
  reply.hijack();
  reply.raw.writeHead(response.status, {
    ...response.headers,
    ...NOSNIFF,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(payload),
    connection: 'close',
  });
  reply.raw.write(payload);
  const maxBytes = bytesToDiscard(request);
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    clearTimeout(pauseTimer);
    reply.raw.end();
    raw.socket.destroySoon();
  };
  const timer = setTimeout(end, MAX_DISCARD_MS);
  const pauseTimer = setTimeout(end, MAX_PAUSE_MS);
  let discardedBytes = 0;
  raw.unpipe();
  raw.on('data', (chunk: Buffer) => {
    discardedBytes += chunk.length;
    pauseTimer.refresh();
    if (discardedBytes > maxBytes) raw.pause();
  });
  raw.once('end', end);
  raw.once('close', end);
  raw.resume();
}

/** The rest of the body, unless it is longer than a direct upload's. */
function bytesToDiscard(request: FastifyRequest): number {
  const bytes = contentLengthOf(request) ?? MAX_DIRECT_BODY_BYTES - request.raw.socket.bytesRead;
  return bytes <= MAX_DIRECT_BODY_BYTES ? Math.max(bytes, SHORT_BYTES) : SHORT_BYTES;
}
