import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import type { DatasetKey } from '../../service/datasets.js';
import { tokenOf } from '../auth.js';
import type { RouteContext } from '../context.js';
import { datasetToWire } from '../to-wire.js';

/** Many proxies close a connection that is idle for a minute. */
const HEARTBEAT_MS = 15_000;

/** Sends one event, and resolves when the connection accepts another. */
type Send = (event: string, data: unknown) => Promise<void>;

/** Streams the events of a dataset: `dataset` at once and after every change, and `deleted`. */
export async function streamEvents(
  reply: FastifyReply,
  key: DatasetKey,
  { watchDataset, datasets, accounts, stopping }: RouteContext,
): Promise<void> {
  await datasets.summary(key);
  const signal = AbortSignal.any([stopping, disconnectSignal(reply)]);
  await stream(reply, { accounts, signal }, async (send) => {
    for await (const summary of watchDataset(key, signal)) await send('dataset', datasetToWire(summary));
    if (!signal.aborted) await send('deleted', { id: key.id });
  });
}

/** Streams the events of an account: `dataset` for each dataset that changes, and `deleted`. */
export async function streamAllEvents(
  reply: FastifyReply,
  accountId: string,
  { watchAccount, accounts, stopping }: RouteContext,
): Promise<void> {
  const signal = AbortSignal.any([stopping, disconnectSignal(reply)]);
  const events = watchAccount(accountId, signal);
  // Waits for `open`, so that a client misses no change that follows the response headers.
  await events.next();
  await stream(reply, { accounts, signal }, async (send) => {
    for await (const event of events) {
      if (event.type === 'dataset') await send('dataset', datasetToWire(event.summary));
      else if (event.type === 'deleted') await send('deleted', { id: event.id });
    }
  });
}

/**
 * Responds with server-sent events (https://html.spec.whatwg.org/#server-sent-events) until `produce` returns, or the token
 * of the request is revoked.
 */
async function stream(
  reply: FastifyReply,
  { accounts, signal }: { accounts: RouteContext['accounts']; signal: AbortSignal },
  produce: (send: Send) => Promise<void>,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  const token = tokenOf(reply.request) ?? '';
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // Asks nginx not to buffer events (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
    'x-accel-buffering': 'no',
  });
  raw.flushHeaders();
  const heartbeat = setInterval(() => {
    raw.write(': still here\n\n');
    // While the catalog does not answer, the stream goes on.
    const accountId = accounts.accountOf(token).catch(() => 'unknown');
    void accountId.then((id) => id === undefined && raw.end());
  }, HEARTBEAT_MS);
  const send: Send = async (event, data) => {
    if (raw.writableEnded) return;
    const isFlushed = raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    if (!isFlushed) await once(raw, 'drain', { signal });
  };
  try {
    await produce(send);
  } catch (error) {
    // The stream ends, and the client reconnects. A disconnected client is not an error.
    if (!signal.aborted) reply.log.error({ err: error }, 'an event stream failed');
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}

/** Fires when the connection closes: after the response has been sent, or when the client disconnects before that. */
export function disconnectSignal(reply: FastifyReply): AbortSignal {
  const disconnected = new AbortController();
  reply.raw.once('close', () => disconnected.abort());
  return disconnected.signal;
}
