import { errorCodeOf, type WireErrorCode } from '../api/error-codes.js';
import type { WireErrorBody } from '../api/schemas.js';

/** An answer that is not a success, or an answer that does not come from a dataset service. */
export class TrainyardError extends Error {
  /** Below 400 if the answer does not come from a dataset service. */
  readonly status: number;
  /** Such as `dataset_not_found`; `undefined` for an `errorCode` that trainyard does not have. */
  readonly code: WireErrorCode | undefined;
  /** Such as `404001`; the HTTP status if the service sent none. */
  readonly errorCode: number;
  /** Problems of single fields of the request. */
  readonly detail: NonNullable<WireErrorBody['detail']>;
  /** With 412: the file that is there; `null`: none. */
  readonly current: WireErrorBody['current'];
  /** From `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, body: WireErrorBody, retryAfterSeconds?: number) {
    super(body.error_message);
    this.name = 'TrainyardError';
    this.status = status;
    this.code = errorCodeOf(body.error_code);
    this.errorCode = body.error_code;
    this.detail = body.detail ?? [];
    this.current = body.current;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** A body without `error_code`, such as a proxy's, is quoted. */
export function errorFor(response: Response, text: string): TrainyardError {
  const { status, headers } = response;
  const excerpt = text.slice(0, 2000).trim().replace(/\s+/g, ' ').slice(0, 200) || 'its answer is empty';
  const message = isRedirection(response)
    ? `The server redirects to ${headers.get('location') ?? 'another address'}. Redirects are not followed, since they could send the token to another server.`
    : `The server answered ${status}, but not as a dataset service: ${excerpt}`;
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const body = parseErrorBody(text) ?? { error_code: status, error_message: message };
  return new TrainyardError(status, body, Number.isFinite(seconds) ? seconds : undefined);
}

/** For a body that no dataset service sends. */
export function invalidAnswer(status: number, fault: string): TrainyardError {
  const shown = fault.length > 300 ? `${fault.slice(0, 300)}…` : fault;
  return new TrainyardError(status, {
    error_code: status,
    error_message: `The server sent an invalid answer: ${shown}`,
  });
}

/** Browsers hide a redirection's status (https://fetch.spec.whatwg.org/#concept-filtered-response-opaque-redirect). */
function isRedirection({ status, type }: Response): boolean {
  return type === 'opaqueredirect' || (status >= 300 && status < 400);
}

function parseErrorBody(text: string): WireErrorBody | undefined {
  try {
    const { error_code, error_message, detail, current } = JSON.parse(text);
    if (typeof error_code !== 'number' || typeof error_message !== 'string') return undefined;
    const fields = Array.isArray(detail) ? detail.filter(isFieldProblem) : [];
    return { error_code, error_message, detail: fields, ...(isCurrentFile(current) && { current }) };
  } catch {
    return undefined;
  }
}

function isCurrentFile(value: unknown): boolean {
  return value === null || typeof (value as { etag?: unknown } | undefined)?.etag === 'string';
}

function isFieldProblem(field: unknown): boolean {
  const { path, message } = (field ?? {}) as { path?: unknown; message?: unknown };
  return typeof path === 'string' && typeof message === 'string';
}
