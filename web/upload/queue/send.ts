import type { SendBody } from '../../../src/client/client.js';

/** A connection that sends nothing for this long is aborted: a broken connection does not always cause an error. */
const STALL_TIMEOUT_MS = 60_000;

/** After the last byte, the service inspects the file before it answers. */
const ANSWER_TIMEOUT_MS = 600_000;

/** Sends with XMLHttpRequest, because `fetch` does not report upload progress. Throws the same errors as `fetch`. */
export const send: SendBody = (link, body, { signal, onSent }) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timeout: ReturnType<typeof setTimeout> | undefined;
    const restartTimeout = (ms: number) => {
      clearTimeout(timeout);
      timeout = setTimeout(() => request.abort(), ms);
    };
    const abort = () => request.abort();

    request.upload.onprogress = ({ loaded }) => {
      restartTimeout(STALL_TIMEOUT_MS);
      onSent(loaded);
    };
    request.upload.onload = () => restartTimeout(ANSWER_TIMEOUT_MS);
    request.onload = () => resolve(responseOf(request));
    request.onerror = () => reject(new TypeError('The connection broke.'));
    request.onabort = () => reject(signal?.aborted ? signal.reason : new TypeError('The connection timed out.'));
    request.onloadend = () => {
      clearTimeout(timeout);
      signal?.removeEventListener('abort', abort);
    };

    if (signal?.aborted) return reject(signal.reason);
    signal?.addEventListener('abort', abort);
    request.open(link.method, link.upload_url);
    for (const [name, value] of Object.entries(link.headers)) request.setRequestHeader(name, value);
    request.send(body);
    restartTimeout(STALL_TIMEOUT_MS);
  });

function responseOf(request: XMLHttpRequest): Response {
  const { status, statusText, responseText } = request;
  // For a header that another origin does not expose, `getResponseHeader` logs an error to the console.
  const retryAfter = /^retry-after: *(.*)$/im.exec(request.getAllResponseHeaders())?.[1];
  return new Response(responseText || null, {
    status,
    statusText,
    headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter },
  });
}
