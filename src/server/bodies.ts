import type { IncomingMessage } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MAX_DIRECT_BYTES, SMALL_BODY_BYTES } from '../api/limits.js';
import { ServiceError } from '../dataset/errors.js';
import type { Quota } from '../storage/limits.js';
import { connectionClosed, onceClosed } from './connections.js';
import { type ErrorResponse, NOSNIFF } from './errors.js';
import { rowOf } from './register-routes.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Releases the memory of a large body. */
    releaseBody: (() => void) | undefined;
  }
}

/** 1 MiB is far more than multipart framing needs. */
export const MAX_DIRECT_BODY_BYTES = MAX_DIRECT_BYTES + 1024 * 1024;

/** Far more than a client sends. Each part costs memory. */
const MAX_PARTS = 16;

/** Within one idle timeout. */
const IDLE_CHECKS = 8;

interface UploadTimeouts {
  /** Until the response starts. */
  readonly totalSeconds?: number;
  /** Without a new byte. */
  readonly idleSeconds?: number;
}

/** The stream can be destroyed without closing the connection, over which the error response has to be sent. */
export function bodyOf(raw: IncomingMessage): Readable {
  const body = new PassThrough({ highWaterMark: 256 * 1024 });
  // Without a reader, an unhandled error event would end the process.
  body.on('error', () => {});
  raw.once('close', () => {
    if (!raw.complete) body.destroy(connectionClosed());
  });
  return raw.pipe(body);
}

/**
 * Returns the only file of a `multipart/form-data` body. The stream fails without a closing boundary, or at a second file.
 *
 * @throws ServiceError `unsupported_body`, `malformed_body`, `too_large`; the signal's reason
 */
export async function filePartOf(
  raw: IncomingMessage,
  { limit, signal }: { limit: { bytes: number; message: string }; signal: AbortSignal },
): Promise<{ filename: string; body: Readable }> {
  signal.throwIfAborted();
  const parser = multipartParser(raw);
  const body = bodyOf(raw);
  signal.addEventListener('abort', () => body.destroy(signal.reason), { once: true });
  let bytes = 0;
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limit.bytes) body.destroy(new ServiceError('too_large', limit.message));
  });
  let parts = 0;
  parser.once('partsLimit', () => {
    const message = `The form has more than ${MAX_PARTS} parts. Send one part named file per request.`;
    body.destroy(new ServiceError('malformed_body', message));
  });
  const finished = new Promise<void>((resolve, reject) => {
    parser.on('error', reject);
    parser.once('finish', resolve);
    body.on('error', reject);
  });
  const first = new Promise<{ filename: string; part: Readable } | undefined>((resolve, reject) => {
    parser.on('file', (field: string, part: Readable, filename: string | undefined) => {
      // Without a reader, an unhandled error event would end the process.
      part.on('error', () => {});
      body.on('error', (error) => part.destroy(error));
      if (field !== 'file' || ++parts > 1) part.resume();
      else resolve({ filename: filename ?? '', part });
    });
    finished.then(() => resolve(undefined), reject);
  });
  body.pipe(parser);
  const found = await first.catch((error) => {
    throw malformed(error);
  });
  if (found === undefined) {
    const message = 'The form has no file part named "file". Send one part named file, with a filename.';
    throw new ServiceError('malformed_body', message);
  }
  const { filename, part } = found;
  const whole = Readable.from(
    (async function* () {
      try {
        yield* part;
        await finished;
      } catch (error) {
        throw malformed(error);
      }
      if (parts > 1) throw new ServiceError('malformed_body', 'The form has more than one file. Send one per request.');
    })(),
    { objectMode: false },
  );
  // Three characters are escaped, and no percent sign (https://html.spec.whatwg.org/#multipart-form-data).
  return { filename: filename.replaceAll(/%(?:22|0D|0A)/g, decodeURIComponent), body: whole };
}

function multipartParser(raw: IncomingMessage): InstanceType<typeof Busboy> {
  const contentType = raw.headers['content-type'] ?? '';
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType)) {
    throw new ServiceError(
      'unsupported_body',
      'An upload must be multipart/form-data with one part named file, as curl --form "file=@picture.jpg" sends it.',
    );
  }
  try {
    return new Busboy({
      headers: { ...raw.headers, 'content-type': contentType },
      // Busboy would drop the path silently; with it, a name with a slash is rejected.
      preservePath: true,
      limits: { parts: MAX_PARTS, fieldSize: 64 * 1024, fileSize: Number.POSITIVE_INFINITY, headerPairs: 100 },
    });
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  const reason = error instanceof Error ? error.message : error;
  return new ServiceError('malformed_body', `The multipart body can't be read: ${reason}`, { cause: error });
}

/** Aborts when the client disconnects, is idle or takes too long. The reason is the error to answer with. */
export function uploadSignal(
  { raw }: FastifyRequest,
  reply: FastifyReply,
  { totalSeconds, idleSeconds }: UploadTimeouts,
): AbortSignal {
  const abort = new AbortController();
  const timers: NodeJS.Timeout[] = [];
  if (totalSeconds !== undefined) {
    timers.push(setTimeout(() => abort.abort(directTimeout(raw, totalSeconds)), totalSeconds * 1000));
  }
  if (idleSeconds !== undefined) {
    const message = `No byte arrived for ${idleSeconds} s. Send the file again; the link is valid until it expires.`;
    let idleChecks = 0;
    let seenBytes = raw.socket.bytesRead;
    const check = () => {
      idleChecks = isWaitedFor(raw) && raw.socket.bytesRead === seenBytes ? idleChecks + 1 : 0;
      seenBytes = raw.socket.bytesRead;
      if (idleChecks >= IDLE_CHECKS) abort.abort(new ServiceError('upload_too_slow', message));
    };
    timers.push(setInterval(check, (idleSeconds * 1000) / IDLE_CHECKS));
  }
  onceClosed(reply.raw, () => {
    for (const timer of timers) clearTimeout(timer);
    if (!reply.raw.writableFinished) abort.abort(connectionClosed());
  });
  return abort.signal;
}

/** If not, the body is complete, or the store takes no more for now. */
function isWaitedFor(raw: IncomingMessage): boolean {
  return !raw.complete && raw.readableFlowing !== false;
}

/** The connection, or the server's store or check, took too long. */
function directTimeout(raw: IncomingMessage, seconds: number): ServiceError {
  if (isWaitedFor(raw)) {
    const message = `The upload took more than ${seconds} s to arrive. Use get-upload-endpoint for large files or slow connections.`;
    return new ServiceError('upload_too_slow', message);
  }
  const what = raw.complete
    ? 'The whole file arrived, but storing and checking it took too long'
    : 'The server is busy and could not store the file in time';
  const advice = 'Send it again later, or use get-upload-endpoint, whose uploads may take longer.';
  return new ServiceError('check_too_slow', `${what}: a direct upload is answered within ${seconds} s. ${advice}`);
}

/** `undefined` if it was not announced. */
export function contentLengthOf({ headers }: FastifyRequest): number | undefined {
  return headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
}

/** For the headers of a request, and for a body, which gets more for its size. */
export const REQUEST_SECONDS = 30;

/** For a body, after `REQUEST_SECONDS`. */
const MIN_BYTES_PER_SECOND = 8 * 1024;

/** Checked before parsing: a byte of a body can become a hundred bytes of memory. */
const MAX_DEPTH = 32;
/** Far more than a thousand captions or names have. */
const MAX_VALUES = 20_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/**
 * Call `releaseBody` of the request when it is answered.
 *
 * @throws ServiceError `too_large`, `request_too_slow`, `upload_cut_short`, or the error of `memory`
 */
export async function readBody(
  request: FastifyRequest,
  { memory, bodyLimit = request.routeOptions.bodyLimit }: { memory: Quota; bodyLimit?: number },
): Promise<Buffer> {
  const { raw } = request;
  const tooLarge = () =>
    new ServiceError('too_large', `The JSON body has more than ${bodyLimit} bytes. Send smaller batches.`);
  if ((contentLengthOf(request) ?? 0) > bodyLimit) throw tooLarge();
  if (raw.destroyed) throw connectionClosed();
  // Chunks are copied, since one of a byte takes a hundred as an object.
  let body = Buffer.alloc(0);
  let bytes = 0;
  const stream = bodyOf(raw);
  const startedAt = performance.now();
  const checkPace = () => {
    const allowedMs = (REQUEST_SECONDS + bytes / MIN_BYTES_PER_SECOND) * 1000;
    const remainingMs = startedAt + allowedMs - performance.now();
    const message = `The body did not arrive within ${Math.round(allowedMs / 1000)} s. Send it again.`;
    if (remainingMs > 0) timer = setTimeout(checkPace, remainingMs);
    else stream.destroy(new ServiceError('request_too_slow', message));
  };
  let timer = setTimeout(checkPace, REQUEST_SECONDS * 1000);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const needed = bytes + chunk.length;
      if (needed > bodyLimit) throw tooLarge();
      if (needed > body.length) {
        const larger = Buffer.allocUnsafe(Math.min(bodyLimit, Math.max(SMALL_BODY_BYTES, 2 * needed)));
        request.releaseBody?.();
        if (larger.length > SMALL_BODY_BYTES) request.releaseBody = memory.hold(request.accountId, larger.length);
        body.copy(larger, 0, 0, bytes);
        body = larger;
      }
      bytes += chunk.copy(body, bytes);
    }
    return body.subarray(0, bytes);
  } catch (error) {
    request.releaseBody?.();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** `undefined` for an empty body. No content type counts as JSON. @throws ServiceError `unsupported_body`, `malformed_body` */
export function parseJsonBody(request: FastifyRequest, body: Buffer): unknown {
  const contentType = request.headers['content-type'];
  if (body.length === 0) return undefined;
  if (contentType !== undefined && !/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType)) {
    throw new ServiceError('unsupported_body', `The body must be application/json, not ${contentType.slice(0, 100)}.`);
  }
  checkStructure(body, rowOf(request)?.maxBodyValues ?? MAX_VALUES);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'it is not UTF-8';
    throw new ServiceError('malformed_body', `The body is not valid JSON: ${reason}`, { cause: error });
  }
}

/** @throws ServiceError `malformed_body` */
function checkStructure(body: Buffer, maxValues: number): void {
  let depth = 0;
  let values = 1;
  let isInString = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (isInString) {
      if (byte === BACKSLASH) at++;
      else isInString = byte !== QUOTE;
      continue;
    }
    if (byte === QUOTE) isInString = true;
    else if (byte === COMMA) values++;
    else if (byte === OPENING_BRACKET || byte === OPENING_BRACE) {
      depth++;
      values++;
    } else if (byte === CLOSING_BRACKET || byte === CLOSING_BRACE) depth--;
    if (depth > MAX_DEPTH) {
      throw new ServiceError('malformed_body', `The JSON body is nested more than ${MAX_DEPTH} levels deep.`);
    }
    if (values > maxValues) {
      throw new ServiceError(
        'malformed_body',
        `The JSON body has more than ${maxValues} values. Send smaller batches.`,
      );
    }
  }
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
