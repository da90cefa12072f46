/** The `error_code` on the wire: the HTTP status followed by three digits. */
export const ERRORS = {
  unauthorized: 401001,
  link_invalid: 403001,
  link_expired: 403002,
  link_withdrawn: 403003,
  not_allowed: 403004,
  dataset_not_found: 404001,
  file_not_found: 404002,
  thumbnail_unavailable: 404004,
  account_not_found: 404005,
  token_not_found: 404006,
  revision_not_found: 404007,
  webhook_not_found: 404008,
  delivery_not_found: 404009,
  group_not_found: 404010,
  caption_endpoint_not_found: 404011,
  caption_run_not_found: 404012,
  caption_preset_not_found: 404013,
  upload_too_slow: 408001,
  request_too_slow: 408002,
  name_taken: 409001,
  upload_finalized: 409002,
  bytes_replaced: 409003,
  not_ready: 409004,
  dataset_linked: 409005,
  wrong_role: 409006,
  caption_endpoint_unusable: 409007,
  length_required: 411001,
  precondition_failed: 412001,
  too_large: 413001,
  unsupported_type: 415001,
  unsupported_body: 415002,
  malformed_body: 422001,
  invalid_field: 422002,
  invalid_name: 422003,
  invalid_content: 422004,
  wrong_size: 422005,
  upload_cut_short: 422006,
  too_many_requests: 429001,
  too_many_uploads: 429002,
  shutting_down: 503001,
  unavailable: 503002,
  check_too_slow: 503003,
  overloaded: 503004,
  no_space: 507001,
  quota_exceeded: 507002,
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** `path` is dotted (`filenameToByteSize.clip.mp4`). */
export interface FieldProblem {
  readonly path: string;
  readonly message: string;
}

/** The error class of all layers. `message` is shown to people unchanged; the cause is only logged. */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly detail: readonly FieldProblem[];
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; detail?: readonly FieldProblem[]; retryAfterSeconds?: number } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'ServiceError';
    this.code = code;
    this.detail = options.detail ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** For errors of Node and the operating system, such as `ENOENT`, and those of services. */
export function hasErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** For `catch`: `undefined` for an error with one of these codes. @throws any other error */
export function undefinedOn(...codes: readonly (ErrorCode | `E${string}`)[]): (error: unknown) => undefined {
  return (error) => {
    if (!hasErrno(error, ...codes)) throw error;
  };
}
