import { withTimeout } from '../abort-signals.js';
import { type WireErrorCode, errorCodeOf } from '../api/error-codes.js';
import type { WireErrorBody } from '../api/schemas.js';
import { parsedJson } from '../json-text.js';

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
  const { error_code, error_message, detail, current } = Object(parsedJson(text));
  if (typeof error_code !== 'number' || typeof error_message !== 'string') return undefined;
  const fields = Array.isArray(detail) ? detail.filter(isFieldProblem) : [];
  return { error_code, error_message, detail: fields, ...(isCurrentFile(current) && { current }) };
}

function isCurrentFile(value: unknown): boolean {
  return value === null || typeof (value as { etag?: unknown } | undefined)?.etag === 'string';
}

function isFieldProblem(field: unknown): boolean {
  const { path, message } = (field ?? {}) as { path?: unknown; message?: unknown };
  return typeof path === 'string' && typeof message === 'string';
}

/** Keeps a reference to the response: `fetch` cancels the body when the response is garbage-collected. */
export async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  yield* response.body ?? [];
}

/** Uncompressed: the list of 100,000 files takes about 40 MB. */
const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** Longer or slower errors, and answers to uploads, are cut. */
const MAX_SHORT_BYTES = 64 * 1024;
const MAX_SHORT_MS = 10_000;

/**
 * A body that fails once the signal aborts. Node's `fetch` refers to its abort controller weakly, and after a garbage
 * collection the body does not end with the signal (https://github.com/nodejs/undici, `lib/web/fetch/request.js`).
 */
export function abortable(response: Response, signal: AbortSignal | undefined): Response {
  if (signal === undefined || response.body === null) return response;
  const { status, headers } = response;
  // Node passes on any three digits, of which no Response may be made (https://fetch.spec.whatwg.org/#dom-response).
  if (status > 599) throw invalidAnswer(200, `its status is ${status}.`);
  const body = response.body.pipeThrough(new TransformStream(), { signal });
  // A reason phrase that is not ASCII is an error here, and clients ignore it (RFC 9112, 4).
  return new Response(body, { status, headers });
}

/** @throws TrainyardError if the body is not JSON, such as another web server's page */
export async function jsonOf(response: Response): Promise<unknown> {
  const { text, isCut } = await bodyTextOf(response, MAX_JSON_BYTES);
  if (isCut) {
    throw invalidAnswer(response.status, `it is longer than ${MAX_JSON_BYTES / 1024 / 1024} MiB.`);
  }
  const json = parsedJson(text);
  if (json === undefined) throw errorFor(response, text);
  return json;
}

export async function errorOf(response: Response): Promise<TrainyardError> {
  return errorFor(response, await shortTextOf(response));
}

/** `undefined` for an answer without JSON, such as a bucket's. */
export async function shortJsonOf(response: Response): Promise<unknown> {
  return parsedJson(await shortTextOf(response));
}

/** Empty if the body does not arrive in time. */
async function shortTextOf(response: Response): Promise<string> {
  const read = (signal: AbortSignal) => bodyTextOf(abortable(response, signal), MAX_SHORT_BYTES);
  return (await withTimeout(MAX_SHORT_MS, read).catch(() => ({ text: '' }))).text;
}

/** Cancels the rest of a longer body. */
async function bodyTextOf({ body }: Response, maxBytes: number): Promise<{ text: string; isCut: boolean }> {
  if (body === null) return { text: '', isCut: false };
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let [text, bytes] = ['', 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), isCut: false };
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
    if (bytes <= maxBytes) continue;
    await reader.cancel().catch(() => {});
    return { text, isCut: true };
  }
}
