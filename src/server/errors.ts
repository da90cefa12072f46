import type { FastifyError, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { type ErrorCode, type FieldProblem, ServiceError } from '../dataset/errors.js';
import { databaseError } from '../storage/database/database.js';

/** Codes of this room: what only a request can get wrong, or only a server. */
type HttpErrorCode = ErrorCode | 'route_not_found' | 'range_not_satisfiable' | 'bad_request' | 'internal';

/** The one place that knows numbers: the status, and the three digits that follow it in `error_code`. */
const NUMBERS: Record<HttpErrorCode, { status: number; digits: number }> = {
  bad_request: { status: 400, digits: 0 },
  unauthorized: { status: 401, digits: 1 },
  link_invalid: { status: 403, digits: 1 },
  link_expired: { status: 403, digits: 2 },
  link_withdrawn: { status: 403, digits: 3 },
  dataset_not_found: { status: 404, digits: 1 },
  file_not_found: { status: 404, digits: 2 },
  route_not_found: { status: 404, digits: 3 },
  thumbnail_unavailable: { status: 404, digits: 4 },
  account_not_found: { status: 404, digits: 5 },
  token_not_found: { status: 404, digits: 6 },
  upload_too_slow: { status: 408, digits: 1 },
  name_taken: { status: 409, digits: 1 },
  upload_finalized: { status: 409, digits: 2 },
  bytes_replaced: { status: 409, digits: 3 },
  length_required: { status: 411, digits: 1 },
  too_large: { status: 413, digits: 1 },
  unsupported_type: { status: 415, digits: 1 },
  unsupported_body: { status: 415, digits: 2 },
  range_not_satisfiable: { status: 416, digits: 1 },
  malformed_body: { status: 422, digits: 1 },
  invalid_field: { status: 422, digits: 2 },
  invalid_name: { status: 422, digits: 3 },
  invalid_content: { status: 422, digits: 4 },
  wrong_size: { status: 422, digits: 5 },
  upload_cut_short: { status: 422, digits: 6 },
  internal: { status: 500, digits: 0 },
  shutting_down: { status: 503, digits: 1 },
  unavailable: { status: 503, digits: 2 },
  no_space: { status: 507, digits: 1 },
};

/** The body of every answer that is not a success, as the contract has it. */
export interface ErrorBody {
  readonly error_code: number;
  readonly error_message: string;
  readonly detail?: readonly FieldProblem[];
}

export interface ErrorResponse {
  readonly status: number;
  readonly body: ErrorBody;
  readonly headers: Record<string, string>;
}

/** The answer for a code with a message. */
export function errorResponse(
  code: HttpErrorCode,
  message: string,
  detail: readonly FieldProblem[] = [],
): ErrorResponse {
  const { status, digits } = NUMBERS[code];
  const headers: Record<string, string> = {};
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  if (status === 503) headers['retry-after'] = '2';
  return {
    status,
    headers,
    body: {
      error_code: status * 1000 + digits,
      error_message: message,
      ...(detail.length > 0 && { detail }),
    },
  };
}

/** The answer for anything that was thrown while a request was served; what is nobody's fault but ours is `internal`. */
export function errorResponseOf(error: unknown, request: FastifyRequest): ErrorResponse {
  if (error instanceof ServiceError) return errorResponse(error.code, error.message, error.detail);
  const fault = databaseError(error);
  if (fault !== undefined) return errorResponse(fault.code, fault.message);
  if (hasZodFastifySchemaValidationErrors(error)) {
    const detail = error.validation.map((issue) => ({
      path: issue.instancePath.slice(1).replaceAll('/', '.'),
      message: issue.message ?? 'is not valid',
    }));
    const [first] = detail;
    const where = first?.path ? `${first.path}: ` : '';
    return errorResponse('invalid_field', `The request is not valid. ${where}${first?.message ?? ''}`, detail);
  }
  const { code, statusCode = 500, message } = error as FastifyError;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return errorResponse('too_large', 'The JSON body is too large. Send smaller batches.');
  if (statusCode === 415) return errorResponse('unsupported_body', message);
  if (statusCode >= 400 && statusCode < 500) return errorResponse('bad_request', message);
  return errorResponse(
    'internal',
    `Something went wrong on the server; its log says more under request ${request.id}.`,
  );
}
