import { ServiceError } from '../dataset/errors.js';

/** Limits that are checked before parsing: a byte of a body can become a hundred bytes of memory. */
const MAX_DEPTH = 32;
const MAX_VALUES = 200_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPENING = [0x5b, 0x7b];
const CLOSING = [0x5d, 0x7d];

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
