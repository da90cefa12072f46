import type { FastifyRequest } from 'fastify';
import { SMALL_BODY_BYTES } from '../api/limits.js';
import { type ErrorCode, ServiceError } from '../dataset/errors.js';
import type { Quota } from '../service/limits/quota.js';
import { connectionClosed, contentLengthOf } from './bodies.js';
import { rowOf } from './register-routes.js';

/** For the headers of a request, and for a body, which gets more for its size. */
export const REQUEST_SECONDS = 30;

/** For a body, after `REQUEST_SECONDS`. */
const MIN_BYTES_PER_SECOND = 8 * 1024;

const releases = new WeakMap<FastifyRequest, (() => void)[]>();

export function releaseBody(request: FastifyRequest): void {
  for (const release of releases.get(request) ?? []) release();
  releases.delete(request);
}

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
 * Call `releaseBody` when the request is answered.
 *
 * @throws ServiceError `too_large`, `request_too_slow`, `upload_cut_short`, or the error of `memory`
 */
export function readBody(
  request: FastifyRequest,
  { memory, bodyLimit = request.routeOptions.bodyLimit }: { memory: Quota; bodyLimit?: number },
): Promise<Buffer> {
  const { raw } = request;
  const tooLarge = `The JSON body has more than ${bodyLimit} bytes. Send smaller batches.`;
  // Copied, since a chunk of one byte takes a hundred as an object.
  let body = Buffer.alloc(0);
  let bytes = 0;
  let stopReading = () => {};
  const held: (() => void)[] = [];
  releases.set(request, held);
  return new Promise<Buffer>((resolve, reject) => {
    const fail = (code: ErrorCode, message: string) => reject(new ServiceError(code, message));
    const startedAt = performance.now();
    const checkPace = () => {
      const allowedMs = (REQUEST_SECONDS + bytes / MIN_BYTES_PER_SECOND) * 1000;
      const remainingMs = startedAt + allowedMs - performance.now();
      if (remainingMs > 0) timer = setTimeout(checkPace, remainingMs);
      else fail('request_too_slow', `The body did not arrive within ${Math.round(allowedMs / 1000)} s. Send it again.`);
    };
    let timer = setTimeout(checkPace, REQUEST_SECONDS * 1000);
    const onData = (chunk: Buffer) => {
      if (bytes + chunk.length > bodyLimit) {
        fail('too_large', tooLarge);
        return;
      }
      const needed = bytes + chunk.length;
      if (needed > body.length) {
        const larger = Buffer.allocUnsafe(Math.min(bodyLimit, Math.max(SMALL_BODY_BYTES, 2 * needed)));
        try {
          if (larger.length > SMALL_BODY_BYTES) held.push(memory.hold(request.accountId, larger.length - body.length));
        } catch (error) {
          reject(error);
          return;
        }
        body.copy(larger, 0, 0, bytes);
        body = larger;
      }
      bytes += chunk.copy(body, bytes);
    };
    const onClose = () => reject(connectionClosed());
    if ((contentLengthOf(request) ?? 0) > bodyLimit) fail('too_large', tooLarge);
    else if (raw.destroyed) onClose();
    else
      raw
        .on('data', onData)
        .once('end', () => resolve(body.subarray(0, bytes)))
        .once('close', onClose);
    stopReading = () => {
      clearTimeout(timer);
      raw.off('data', onData).off('close', onClose).pause();
    };
  })
    .catch((error) => {
      releaseBody(request);
      throw error;
    })
    .finally(() => stopReading());
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
