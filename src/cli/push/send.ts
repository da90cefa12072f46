import type { SendBody } from '../../client/client.js';

/** A smaller file leaves at once, and is quicker sent as a whole. */
const MIN_COUNTED_BYTES = 1024 * 1024;

/** Sends a body and counts its bytes as they leave: `fetch` alone tells nothing before the answer. */
export const sendCounted: SendBody = async (link, body, { signal, onSent }) => {
  const { upload_url, method, headers } = link;
  const request = { method, redirect: 'error', ...(signal && { signal }) } as const;
  if (body.size < MIN_COUNTED_BYTES) return fetch(upload_url, { ...request, headers, body });
  let sentBytes = 0;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      sentBytes += chunk.byteLength;
      onSent(sentBytes);
      controller.enqueue(chunk);
    },
  });
  return fetch(upload_url, {
    ...request,
    // Of a stream nobody knows the length; the service wants it said, and Node sends it where it is.
    headers: { ...headers, 'content-length': String(body.size) },
    body: body.stream().pipeThrough(counted),
    duplex: 'half',
  });
};
