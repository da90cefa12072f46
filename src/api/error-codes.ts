import type { ErrorCode } from '../dataset/errors.js';

/** Errors of the service, and those that only a malformed request or the server itself can cause. */
export type WireErrorCode =
  | ErrorCode
  | 'bad_request'
  | 'route_not_found'
  | 'range_not_satisfiable'
  | 'expectation_failed'
  | 'headers_too_large'
  | 'internal';

/** The `error_code` on the wire for each error: the HTTP status followed by three digits. */
export const ERROR_NUMBERS: Readonly<Record<WireErrorCode, number>> = {
  bad_request: 400000,
  unauthorized: 401001,
  link_invalid: 403001,
  link_expired: 403002,
  link_withdrawn: 403003,
  not_allowed: 403004,
  dataset_not_found: 404001,
  file_not_found: 404002,
  route_not_found: 404003,
  thumbnail_unavailable: 404004,
  account_not_found: 404005,
  token_not_found: 404006,
  revision_not_found: 404007,
  webhook_not_found: 404008,
  delivery_not_found: 404009,
  upload_too_slow: 408001,
  request_too_slow: 408002,
  name_taken: 409001,
  upload_finalized: 409002,
  bytes_replaced: 409003,
  not_ready: 409004,
  dataset_linked: 409005,
  wrong_role: 409006,
  length_required: 411001,
  precondition_failed: 412001,
  too_large: 413001,
  unsupported_type: 415001,
  unsupported_body: 415002,
  range_not_satisfiable: 416001,
  expectation_failed: 417001,
  malformed_body: 422001,
  invalid_field: 422002,
  invalid_name: 422003,
  invalid_content: 422004,
  wrong_size: 422005,
  upload_cut_short: 422006,
  too_many_requests: 429001,
  too_many_uploads: 429002,
  headers_too_large: 431001,
  internal: 500000,
  shutting_down: 503001,
  unavailable: 503002,
  check_too_slow: 503003,
  overloaded: 503004,
  no_space: 507001,
  quota_exceeded: 507002,
};

const NAMES = new Map(Object.entries(ERROR_NUMBERS).map(([name, number]) => [number, name as WireErrorCode]));

/** The name of an `error_code`; `undefined` for a number that is not in the table, such as one of another service. */
export function errorCodeOf(number: number): WireErrorCode | undefined {
  return NAMES.get(number);
}
