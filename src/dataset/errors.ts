/** The reasons why a request fails. `api/error-codes.ts` does not compile without the HTTP status of each. */
export type ErrorCode =
  | 'unauthorized'
  | 'not_allowed'
  | 'link_invalid'
  | 'link_expired'
  | 'link_withdrawn'
  | 'dataset_not_found'
  | 'file_not_found'
  | 'revision_not_found'
  | 'thumbnail_unavailable'
  | 'account_not_found'
  | 'token_not_found'
  | 'webhook_not_found'
  | 'delivery_not_found'
  | 'name_taken'
  | 'not_ready'
  | 'dataset_linked'
  | 'wrong_role'
  | 'upload_finalized'
  | 'bytes_replaced'
  | 'precondition_failed'
  | 'length_required'
  | 'too_large'
  | 'unsupported_type'
  | 'unsupported_body'
  | 'malformed_body'
  | 'invalid_field'
  | 'invalid_name'
  | 'invalid_content'
  | 'wrong_size'
  | 'upload_cut_short'
  | 'upload_too_slow'
  | 'request_too_slow'
  | 'check_too_slow'
  | 'shutting_down'
  | 'unavailable'
  | 'too_many_requests'
  | 'too_many_uploads'
  | 'overloaded'
  | 'no_space'
  | 'quota_exceeded';

/** An invalid field of a request; `path` is dotted (`filenameToByteSize.clip.mp4`). */
export interface FieldProblem {
  readonly path: string;
  readonly message: string;
}

/**
 * The error class of all layers. `message` is shown to people unchanged: it says what is wrong, with which file, and what
 * to do. The cause is only logged.
 */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly detail: readonly FieldProblem[];
  /** When the same request may succeed, if that is known. */
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

/** True for errors of Node and the operating system that carry this code, such as `ENOENT`. */
export function hasErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
