import type { FastifyError, FastifyRequest } from 'fastify';
import { ERROR_NUMBERS, type WireErrorCode } from '../api/error-codes.js';
import type { WireErrorBody } from '../api/schemas.js';
import { type FieldProblem, hasErrno, ServiceError } from '../dataset/errors.js';
import { PreconditionFailed } from '../dataset/write-condition.js';
import { escapeOf } from '../json-text.js';
import { withoutTokens } from '../service/audit/without-tokens.js';
import { BlobChanged } from '../storage/blobs/blobs.js';
import { databaseError } from '../storage/database/database.js';
import { currentToWire, etagOf } from './wire.js';

/** Browsers must not guess another content type. */
export const NOSNIFF = { 'x-content-type-options': 'nosniff' } as const;

/** Parts of messages are the client's, and can have any length. */
const MAX_MESSAGE_LENGTH = 600;

/** Would control a terminal or the direction of text; half of a surrogate pair has no UTF-8. */
const NOT_PRINTED = /[\p{Cc}\p{Surrogate}\p{Bidi_Control}\u2028\u2029]/gu;

export interface ErrorResponse {
  readonly status: number;
  readonly body: WireErrorBody;
  readonly headers: Record<string, string>;
}

export function errorResponse(
  code: WireErrorCode,
  message: string,
  detail: readonly FieldProblem[] = [],
): ErrorResponse {
  const number = ERROR_NUMBERS[code];
  const status = Math.floor(number / 1000);
  const headers: Record<string, string> = {};
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  if (status === 503) headers['retry-after'] = '2';
  const body = {
    error_code: number,
    error_message: shown(withoutTokens(message)),
    ...(detail.length > 0 && {
      detail: detail.map((each) => ({ path: shown(each.path), message: shown(each.message) })),
    }),
  };
  return { status, headers, body };
}

function shown(message: string): string {
  // Each of these characters becomes six.
  const text = message.slice(0, MAX_MESSAGE_LENGTH + 1).replace(NOT_PRINTED, escapeOf);
  return text.length <= MAX_MESSAGE_LENGTH
    ? text
    : `${text.slice(0, MAX_MESSAGE_LENGTH).replace(/\p{Surrogate}$/u, '')}…`;
}

/** Unexpected errors become `internal`. */
export function errorResponseOf(error: unknown, request: FastifyRequest): ErrorResponse {
  if (error instanceof PreconditionFailed) return conflictResponse(error);
  if (error instanceof ServiceError) {
    const response = errorResponse(error.code, error.message, error.detail);
    if (error.retryAfterSeconds !== undefined) response.headers['retry-after'] = String(error.retryAfterSeconds);
    return response;
  }
  // A file's stream failed before its first byte.
  if (error instanceof BlobChanged) {
    const message = 'The bytes of the file in the store were changed after they were checked. Upload the file again.';
    return errorResponse('bytes_replaced', message);
  }
  const serviceError = databaseError(error);
  if (serviceError !== undefined) return errorResponse(serviceError.code, serviceError.message);
  const diskFailure = diskFailureOf(error);
  if (diskFailure !== undefined) return errorResponse('unavailable', `The server ${diskFailure}. Try again later.`);
  const { statusCode = 500, message } = error as FastifyError;
  if (statusCode === 415)
    return errorResponse('unsupported_body', 'The Content-Type header is not a valid media type.');
  if (statusCode >= 400 && statusCode < 500) return errorResponse('bad_request', message);
  return errorResponse('internal', `The server failed. Its log has the cause under request ${request.id}.`);
}

/** Has the current file, so that the client can decide without another request. */
function conflictResponse({ code, message, detail, current }: PreconditionFailed): ErrorResponse {
  const { body, ...response } = errorResponse(code, message, detail);
  const headers = current === undefined ? response.headers : { ...response.headers, etag: etagOf(current) };
  return { ...response, headers, body: { ...body, current: currentToWire(current) } };
}

/** `undefined` for errors that are not the file system's. */
function diskFailureOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('path' in error || 'errno' in error)) return undefined;
  if (hasErrno(error, 'EROFS')) return "can't store anything: its disk is read-only";
  if (hasErrno(error, 'EMFILE', 'ENFILE')) return 'has too many open files (see ulimit -n)';
  if (hasErrno(error, 'EIO', 'ESTALE', 'ENODEV')) return "can't use its disk, which reports an error";
  if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'))
    return "can't use its data folder: it is gone or closed to it";
  return undefined;
}
