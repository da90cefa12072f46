import { errorCodeOf, type WireErrorCode } from '../api/error-codes.js';
import type { WireErrorBody } from '../api/schemas.js';

/** An answer of the service that is not a success, or an answer that is none of a dataset service at all. */
export class TrainyardError extends Error {
  /** The HTTP status. */
  readonly status: number;
  /** The name of the error, such as `dataset_not_found`; `undefined` if the service sent no `error_code` or one that is not trainyard's. */
  readonly code: WireErrorCode | undefined;
  /** The number that the service sent, such as `404001`; the HTTP status if it sent none. */
  readonly errorCode: number;
  /** What is wrong with single fields of the request. */
  readonly detail: NonNullable<WireErrorBody['detail']>;
  /** After how many seconds the service wants to be asked again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, refusal: WireErrorBody, retryAfterSeconds?: number) {
    super(refusal.error_message);
    this.name = 'TrainyardError';
    this.status = status;
    this.code = errorCodeOf(refusal.error_code);
    this.errorCode = refusal.error_code;
    this.detail = refusal.detail ?? [];
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * The JSON that a successful answer holds.
 *
 * @throws TrainyardError for anything else, such as the page of a web server that is no dataset service
 */
export async function jsonOf<T>(response: Response): Promise<T> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new TrainyardError(response.status, quoted(response, text));
  }
}

/** The error that an answer stands for. Answers of proxies and object stores, which are not JSON, are quoted. */
export async function errorOf(response: Response): Promise<TrainyardError> {
  const text = await response.text().catch(() => '');
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined;
  return new TrainyardError(response.status, refusalIn(text) ?? quoted(response, text), retryAfter);
}

function refusalIn(text: string): WireErrorBody | undefined {
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
  return {
    error_code: status,
    error_message: `The server answered ${answer} and not as a dataset service: ${excerpt}`,
  };
}
