import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import type { DatasetKey } from '../../service/service.js';
import type { RouteContext } from '../context.js';
import { datasetOnWire } from '../present.js';
import { clientGone } from '../signals.js';

/** Proxies cut connections that are silent for a minute. */
const HEARTBEAT_MS = 15_000;

/**
 * Answers with server-sent events (https://html.spec.whatwg.org/#server-sent-events): `dataset` with the dataset object,
 * at once and after every change, and `deleted` at the end of a dataset.
 */
export async function streamEvents(
  reply: FastifyReply,
  key: DatasetKey,
  { watch, datasets, stopping }: RouteContext,
): Promise<void> {
  await datasets.summary(key);
  const signal = AbortSignal.any([stopping, clientGone(reply)]);
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // Asks nginx not to gather events (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
    'x-accel-buffering': 'no',
  });
  const heartbeat = setInterval(() => raw.write(': still here\n\n'), HEARTBEAT_MS);
  const send = async (event: string, data: unknown) => {
    const isFlushed = raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    if (!isFlushed) await once(raw, 'drain', { signal });
  };
  try {
    for await (const summary of watch(key, signal)) await send('dataset', datasetOnWire(summary));
    if (!signal.aborted) await send('deleted', { id: key.id });
  } catch (error) {
    // The stream ends either way, and the client connects again; a gone client is no news.
    if (!signal.aborted) reply.log.error({ err: error }, 'a stream of events broke off');
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}
