/** The reasons why a request fails. `api/error-codes.ts` does not compile without the HTTP status of each. */
export type ErrorCode =
  | 'unauthorized'
  | 'link_invalid'
  | 'link_expired'
  | 'link_withdrawn'
  | 'dataset_not_found'
  | 'file_not_found'
  | 'thumbnail_unavailable'
  | 'account_not_found'
  | 'token_not_found'
  | 'name_taken'
  | 'upload_finalized'
  | 'bytes_replaced'
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
  | 'shutting_down'
  | 'unavailable'
  | 'no_space';

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

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; detail?: readonly FieldProblem[] } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'ServiceError';
    this.code = code;
    this.detail = options.detail ?? [];
  }
}

/** True for errors of Node and the operating system that carry this code, such as `ENOENT`. */
export function hasErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
