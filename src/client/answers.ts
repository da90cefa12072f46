import { withTimeout } from '../abort-signals.js';
import { errorFor, invalidAnswer, type TrainyardError } from './trainyard-error.js';

/** The longest JSON answer that is read, uncompressed: the list of 100,000 files takes about 40 MB. */
const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** An error, or the answer to an upload, is read up to this length, and not at all if it takes longer. */
const MAX_SHORT_BYTES = 64 * 1024;
const MAX_SHORT_MS = 10_000;

/** Waits for an answer until the signal aborts. `fetch` may miss the abort, see `abortable`. @throws the signal's reason */
export async function untilAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * The same answer with a body that fails once the signal aborts. `fetch` of Node refers to its abort controller weakly: after
 * a garbage collection the body no longer ends with the signal (https://github.com/nodejs/undici, `lib/web/fetch/request.js`).
 */
export function abortable(response: Response, signal: AbortSignal | undefined): Response {
  if (signal === undefined || response.body === null) return response;
  const { status, headers } = response;
  // `fetch` of Node passes on any three digits, which no Response may be made of (https://fetch.spec.whatwg.org/#dom-response).
  if (status > 599) throw invalidAnswer(200, `its status is ${status}.`);
  const body = response.body.pipeThrough(new TransformStream(), { signal });
  // The reason phrase is left out: one that is not ASCII is an error here, and clients ignore it (RFC 9112, 4).
  return new Response(body, { status, headers });
}

/** Parses the body of a successful answer. @throws TrainyardError if it is not JSON, such as a page of another web server */
export async function jsonOf(response: Response): Promise<unknown> {
  const { text, isCut } = await bodyTextOf(response, MAX_JSON_BYTES);
  if (isCut) {
    throw invalidAnswer(response.status, `it is longer than ${MAX_JSON_BYTES / 1024 / 1024} MiB.`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw errorFor(response, text);
  }
}

/** The error of an answer that is not a success. */
export async function errorOf(response: Response): Promise<TrainyardError> {
  return errorFor(response, await shortTextOf(response));
}

/** Parses the body of an answer that may be that of a bucket, which has no JSON; `undefined` then. */
export async function shortJsonOf(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await shortTextOf(response));
  } catch {
    return undefined;
  }
}

/** The beginning of a body; empty if it does not arrive in time. */
async function shortTextOf(response: Response): Promise<string> {
  const read = (signal: AbortSignal) => bodyTextOf(abortable(response, signal), MAX_SHORT_BYTES);
  return (await withTimeout(MAX_SHORT_MS, read).catch(() => ({ text: '' }))).text;
}

/** Reads a body as UTF-8. Cancels the rest of a longer one. */
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
