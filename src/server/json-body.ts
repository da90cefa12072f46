import type { FastifyRequest } from 'fastify';
import { type ErrorCode, ServiceError } from '../dataset/errors.js';
import { type BodyTimeouts, connectionClosed, contentLengthOf } from './bodies.js';

/** Each second, at least so many bytes of a body must arrive, after a first grace of `requestSeconds`. */
const MIN_BYTES_PER_SECOND = 8 * 1024;

/**
 * Larger bodies share the memory for bodies. A request without a token may not have one, or it could take the memory from
 * those with a token.
 */
export const SMALL_BODY_BYTES = 16 * 1024;

let bufferedBytes = 0;

/** The bytes of all larger JSON bodies that are arriving. */
export function bufferedBodyBytes(): number {
  return bufferedBytes;
}

/** Limits that are checked before parsing: a byte of a body can become a hundred bytes of memory. */
const MAX_DEPTH = 32;
const MAX_VALUES = 200_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPENING = [0x5b, 0x7b];
const CLOSING = [0x5d, 0x7d];

/**
 * Reads a body that is small enough to be held in memory.
 *
 * @throws ServiceError `too_large` beyond the limit of the route, `request_too_slow`, `upload_cut_short`, `overloaded` if
 * too many large bodies arrive at once
 */
export function readBody(
  request: FastifyRequest,
  {
    requestSeconds,
    maxBufferedBytes,
    bodyLimit = request.routeOptions.bodyLimit,
  }: Pick<BodyTimeouts, 'requestSeconds'> & { maxBufferedBytes: number; bodyLimit?: number },
): Promise<Buffer> {
  const { raw } = request;
  const tooLarge = `The JSON body has more than ${bodyLimit} bytes. Send smaller batches.`;
  const chunks: Buffer[] = [];
  let bytes = 0;
  let countedBytes = 0;
  let stopReading = () => {};
  return new Promise<Buffer>((resolve, reject) => {
    const fail = (code: ErrorCode, message: string) => reject(new ServiceError(code, message));
    const startedAt = performance.now();
    const checkPace = () => {
      const allowedMs = (requestSeconds + bytes / MIN_BYTES_PER_SECOND) * 1000;
      const remainingMs = startedAt + allowedMs - performance.now();
      if (remainingMs > 0) timer = setTimeout(checkPace, remainingMs);
      else fail('request_too_slow', `The body did not arrive within ${Math.round(allowedMs / 1000)} s. Send it again.`);
    };
    let timer = setTimeout(checkPace, requestSeconds * 1000);
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > bodyLimit) fail('too_large', tooLarge);
      if (bytes <= SMALL_BODY_BYTES) return;
      bufferedBytes += bytes - countedBytes;
      countedBytes = bytes;
      if (bufferedBytes > maxBufferedBytes) {
        const limit = `more than ${maxBufferedBytes} bytes of requests at once (--body-memory-bytes)`;
        fail('overloaded', `The server is receiving ${limit}. Try again.`);
      }
    };
    const onClose = () => reject(connectionClosed());
    if ((contentLengthOf(request) ?? 0) > bodyLimit) fail('too_large', tooLarge);
    else if (raw.destroyed) onClose();
    else
      raw
        .on('data', onData)
        .once('end', () => resolve(Buffer.concat(chunks)))
        .once('close', onClose);
    stopReading = () => {
      clearTimeout(timer);
      raw.off('data', onData).off('close', onClose).pause();
      bufferedBytes -= countedBytes;
    };
  }).finally(() => stopReading());
}

/**
 * Parses a JSON body; an empty body is `undefined`. A request without a content type is taken as JSON.
 *
 * @throws ServiceError `unsupported_body`, `malformed_body`
 */
export function parseJsonBody(contentType: string | undefined, body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (contentType !== undefined && !/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType)) {
    throw new ServiceError('unsupported_body', `The body must be application/json, not ${contentType.slice(0, 100)}.`);
  }
  checkStructure(body);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'it is not UTF-8';
    throw new ServiceError('malformed_body', `The body is not valid JSON: ${reason}`, { cause: error });
  }
}

/** Checks the depth and the number of values, outside of strings. @throws ServiceError `malformed_body` */
function checkStructure(body: Buffer): void {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] ?? 0;
    if (byte === QUOTE) at = endOfString(body, at);
    else if (byte === COMMA) values++;
    else if (OPENING.includes(byte)) {
      depth++;
      values++;
    } else if (CLOSING.includes(byte)) depth--;
    if (depth > MAX_DEPTH) {
      throw new ServiceError('malformed_body', `The JSON body is nested more than ${MAX_DEPTH} levels deep.`);
    }
    if (values > MAX_VALUES) {
      throw new ServiceError(
        'malformed_body',
        `The JSON body has more than ${MAX_VALUES} values. Send smaller batches.`,
      );
    }
  }
}

/** The offset of the closing quotation mark, or the end of the body. */
function endOfString(body: Buffer, start: number): number {
  for (let at = start + 1; at < body.length; at++) {
    if (body[at] === BACKSLASH) at++;
    else if (body[at] === QUOTE) return at;
  }
  return body.length;
}
