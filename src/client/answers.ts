import { withTimeout } from '../abort-signals.js';
import { errorFor, invalidAnswer, type TrainyardError } from './trainyard-error.js';

/** Uncompressed: the list of 100,000 files takes about 40 MB. */
const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** Longer or slower errors, and answers to uploads, are cut. */
const MAX_SHORT_BYTES = 64 * 1024;
const MAX_SHORT_MS = 10_000;

/** `fetch` may miss the abort, see `abortable`. @throws the signal's reason */
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
  try {
    return JSON.parse(text);
  } catch {
    throw errorFor(response, text);
  }
}

export async function errorOf(response: Response): Promise<TrainyardError> {
  return errorFor(response, await shortTextOf(response));
}

/** `undefined` for an answer without JSON, such as a bucket's. */
export async function shortJsonOf(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await shortTextOf(response));
  } catch {
    return undefined;
  }
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
