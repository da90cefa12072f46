import { errorCodeOf, type WireErrorCode } from '../api/error-codes.js';
import type { WireErrorBody } from '../api/schemas.js';

/** An answer that is not a success, or an answer that does not come from a dataset service. */
export class TrainyardError extends Error {
  /** The HTTP status. */
  readonly status: number;
  /** The name of the error, such as `dataset_not_found`; `undefined` if trainyard has no error with this `errorCode`. */
  readonly code: WireErrorCode | undefined;
  /** The number that the service sent, such as `404001`; the HTTP status if it sent none. */
  readonly errorCode: number;
  /** Problems of single fields of the request. */
  readonly detail: NonNullable<WireErrorBody['detail']>;
  /** The `Retry-After` of the answer, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, body: WireErrorBody, retryAfterSeconds?: number) {
    super(body.error_message);
    this.name = 'TrainyardError';
    this.status = status;
    this.code = errorCodeOf(body.error_code);
    this.errorCode = body.error_code;
    this.detail = body.detail ?? [];
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Parses the body of a successful answer. @throws TrainyardError if it is not JSON, such as a page of another web server */
export async function jsonOf<T>(response: Response): Promise<T> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new TrainyardError(response.status, quoted(response, text));
  }
}

/** The error of an answer. A body that has no `error_code`, such as that of a proxy or an object store, is quoted. */
export async function errorOf(response: Response): Promise<TrainyardError> {
  const text = await response.text().catch(() => '');
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined;
  return new TrainyardError(response.status, parseErrorBody(text) ?? quoted(response, text), retryAfter);
}

function parseErrorBody(text: string): WireErrorBody | undefined {
  try {
    const body = JSON.parse(text);
    return typeof body.error_code === 'number' && typeof body.error_message === 'string' ? body : undefined;
  } catch {
    return undefined;
  }
}

function quoted({ status, statusText }: Response, text: string): WireErrorBody {
  const excerpt = text.trim().replace(/\s+/g, ' ').slice(0, 200);
  const answer = `${status} ${statusText}`.trim();
  const message = `The server answered ${answer}, but not as a dataset service: ${excerpt}`;
  return { error_code: status, error_message: message };
}
