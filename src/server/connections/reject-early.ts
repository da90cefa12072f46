import type { FastifyReply, FastifyRequest } from 'fastify';
import { contentLengthOf, MAX_DIRECT_BODY_BYTES } from '../bodies.js';
import { type ErrorResponse, NOSNIFF } from '../errors.js';

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
