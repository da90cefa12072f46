import type { FastifyError, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { ERROR_NUMBERS, type WireErrorCode } from '../api/error-codes.js';
import type { WireErrorBody } from '../api/schemas.js';
import { type FieldProblem, hasErrno, ServiceError } from '../dataset/errors.js';
import { databaseError } from '../storage/database/database.js';

/** Errors in `detail`; a request can have one for each of its fields. */
const MAX_REPORTED_ISSUES = 100;

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
  const body = { error_code: number, error_message: message, ...(detail.length > 0 && { detail: [...detail] }) };
  return { status, headers, body };
}

/** The response for any error thrown while a request was served; unexpected errors become `internal`. */
export function errorResponseOf(error: unknown, request: FastifyRequest): ErrorResponse {
  if (error instanceof ServiceError) return errorResponse(error.code, error.message, error.detail);
  const serviceError = databaseError(error);
  if (serviceError !== undefined) return errorResponse(serviceError.code, serviceError.message);
  const diskFailure = diskFailureOf(error);
  if (diskFailure !== undefined) return errorResponse('unavailable', `The server ${diskFailure}. Try again later.`);
  if (hasZodFastifySchemaValidationErrors(error)) {
    const detail = error.validation.slice(0, MAX_REPORTED_ISSUES).map((issue) => ({
      path: issue.instancePath.slice(1).replaceAll('/', '.'),
      message: issue.message ?? 'is not valid',
    }));
    const [first] = detail;
    const where = first?.path ? `${first.path}: ` : '';
    return errorResponse('invalid_field', `The request is not valid. ${where}${first?.message ?? ''}`, detail);
  }
  const { code, statusCode = 500, message } = error as FastifyError;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const { bodyLimit } = request.routeOptions;
    return errorResponse('too_large', `The JSON body has more than ${bodyLimit} bytes. Send smaller batches.`);
  }
  if (statusCode === 415) return errorResponse('unsupported_body', message);
  if (statusCode >= 400 && statusCode < 500) return errorResponse('bad_request', message);
  return errorResponse('internal', `The server failed. Its log has the cause under request ${request.id}.`);
}

/** What a failed call to the file system says about the server; `undefined` for other errors. */
function diskFailureOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('path' in error || 'errno' in error)) return undefined;
  if (hasErrno(error, 'EROFS')) return "can't store anything: its disk is read-only";
  if (hasErrno(error, 'EMFILE', 'ENFILE')) return 'has too many open files (see ulimit -n)';
  if (hasErrno(error, 'EIO', 'ESTALE', 'ENODEV')) return "can't use its disk, which reports an error";
  if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'))
    return "can't use its data folder: it is gone or closed to it";
  return undefined;
}
