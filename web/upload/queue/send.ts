import type { SendBody } from '../../../src/client/client.js';

/** Without a byte that leaves, a connection is taken for dead: one that breaks silently is told of by nobody. */
const STALLED_MS = 60_000;

/** After the last byte, the service looks into the file before it answers. */
const ANSWER_MS = 600_000;

/** By XMLHttpRequest, which tells what has left, as `fetch` does not. Fails as `fetch` does. */
export const send: SendBody = (link, body, { signal, onSent }) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let dead: ReturnType<typeof setTimeout> | undefined;
    const expectLifeWithin = (ms: number) => {
      clearTimeout(dead);
      dead = setTimeout(() => request.abort(), ms);
    };
    const abort = () => request.abort();

    request.upload.onprogress = ({ loaded }) => {
      expectLifeWithin(STALLED_MS);
      onSent(loaded);
    };
    request.upload.onload = () => expectLifeWithin(ANSWER_MS);
    request.onload = () => resolve(answerOf(request));
    request.onerror = () => reject(new TypeError('The connection broke.'));
    request.onabort = () => reject(signal?.aborted ? signal.reason : new TypeError('The connection fell silent.'));
    request.onloadend = () => {
      clearTimeout(dead);
      signal?.removeEventListener('abort', abort);
    };

    if (signal?.aborted) return reject(signal.reason);
    signal?.addEventListener('abort', abort);
    request.open(link.method, link.upload_url);
    for (const [name, value] of Object.entries(link.headers)) request.setRequestHeader(name, value);
    request.send(body);
    expectLifeWithin(STALLED_MS);
  });

function answerOf(request: XMLHttpRequest): Response {
  const { status, statusText, responseText } = request;
  // Of another origin only what it allows may be asked for; it is not among these else.
  const retryAfter = /^retry-after: *(.*)$/im.exec(request.getAllResponseHeaders())?.[1];
  return new Response(responseText || null, {
    status,
    statusText,
    headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter },
  });
}
