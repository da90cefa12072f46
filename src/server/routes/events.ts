import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import type { DatasetKey } from '../../service/datasets.js';
import type { RouteContext } from '../context.js';
import { datasetToWire } from '../to-wire.js';

/** Proxies cut connections that are silent for a minute. */
const HEARTBEAT_MS = 15_000;

/** Sends one event, and returns when there is room for another. */
type Send = (event: string, data: unknown) => Promise<void>;

/** Answers with the events of one dataset: `dataset` with its object, at once and after every change, and `deleted` at its end. */
export async function streamEvents(
  reply: FastifyReply,
  key: DatasetKey,
  { watch, datasets, stopping }: RouteContext,
): Promise<void> {
  await datasets.summary(key);
  const signal = AbortSignal.any([stopping, disconnectSignal(reply)]);
  await stream(reply, signal, async (send) => {
    for await (const summary of watch(key, signal)) await send('dataset', datasetToWire(summary));
    if (!signal.aborted) await send('deleted', { id: key.id });
  });
}

/** Answers with the events of an account: `dataset` with each object that has changed, and `deleted` with an id. */
export async function streamAllEvents(
  reply: FastifyReply,
  accountId: string,
  { watchAccount, stopping }: RouteContext,
): Promise<void> {
  const signal = AbortSignal.any([stopping, disconnectSignal(reply)]);
  const events = watchAccount(accountId, signal);
  // Whoever is answered misses nothing from then on.
  await events.next();
  await stream(reply, signal, async (send) => {
    for await (const event of events) {
      if (event.type === 'dataset') await send('dataset', datasetToWire(event.summary));
      else if (event.type === 'deleted') await send('deleted', { id: event.id });
    }
  });
}

/** Answers with server-sent events (https://html.spec.whatwg.org/#server-sent-events) for as long as `produce` takes. */
async function stream(reply: FastifyReply, signal: AbortSignal, produce: (send: Send) => Promise<void>): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // Asks nginx not to gather events (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
    'x-accel-buffering': 'no',
  });
  raw.flushHeaders();
  const heartbeat = setInterval(() => raw.write(': still here\n\n'), HEARTBEAT_MS);
  const send: Send = async (event, data) => {
    const isFlushed = raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    if (!isFlushed) await once(raw, 'drain', { signal });
  };
  try {
    await produce(send);
  } catch (error) {
    // The stream ends either way, and the client connects again; a gone client is no news.
    if (!signal.aborted) reply.log.error({ err: error }, 'a stream of events broke off');
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
