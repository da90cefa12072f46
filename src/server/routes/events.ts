import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import { withAnySignal } from '../../abort-signals.js';
import type { Micros } from '../../dataset/dataset.js';
import type { DatasetKey, DatasetService } from '../../service/datasets.js';
import type { AccountEvent } from '../../service/watch/watch-account.js';
import { type DatasetChange, waitUnlessAborted } from '../../service/watch/watch-dataset.js';
import { watchWithLinked } from '../../service/watch/watch-with-linked.js';
import type { Accounts } from '../../storage/catalog/accounts/accounts.js';
import { isExpired } from '../../storage/catalog/accounts/grant.js';
import { disconnectSignal } from '../connections/disconnect.js';
import { NOSNIFF } from '../errors.js';
import type { HoldUnsent } from '../limits.js';
import type { Handlers } from '../register-routes.js';
import { changeToWire, datasetToWire } from '../to-wire.js';

/** Many proxies close a connection that is idle for a minute. */
const HEARTBEAT_MS = 15_000;

/** A stream ends when its client has read nothing during this many heartbeats. */
const MAX_UNREAD_HEARTBEATS = 8;

/** Between two events of a dataset, so that an upload of thousands of files causes only a few a second. */
const PAUSE: Micros = 250_000;

/** Sends one event, and resolves when the connection accepts another. */
type Send = (event: string, data: unknown) => Promise<void>;

/** What a stream needs besides its events. */
interface StreamOptions {
  readonly accounts: Accounts;
  readonly now: () => Micros;
  readonly holdUnsent: HoldUnsent;
  /** Fires when the server begins to drain. */
  readonly stopping: AbortSignal;
}

/** Streams the events of a dataset and of an account. */
export function eventHandlers({
  datasets,
  watchDataset,
  watchAccount,
  ...options
}: StreamOptions & {
  datasets: DatasetService;
  watchDataset: (key: DatasetKey, signal: AbortSignal) => AsyncIterable<DatasetChange>;
  watchAccount: (accountId: string, signal: AbortSignal) => AsyncGenerator<AccountEvent>;
}): Handlers<'dataset.events' | 'account.events'> {
  const { stopping } = options;
  return {
    'dataset.events': async ({ key, query, request, reply }) => {
      const boundIds = request.grant?.datasetIds;
      await datasets.summary(key);
      await withAnySignal([stopping, disconnectSignal(reply)], (signal) =>
        stream(reply, { options, signal }, async (send) => {
          const isLinked = query.linked === 'true';
          const changes = isLinked ? watchWithLinked(watchDataset, key, signal) : watchDataset(key, signal);
          for await (const change of changes) {
            const { filenames, dataset } = change;
            if (dataset.id !== key.id && boundIds?.includes(dataset.id) === false) continue;
            const files = filenames && (await datasets.filesNamed(dataset.id, filenames));
            await send('dataset', changeToWire(change, files));
            await waitUnlessAborted(PAUSE, { signal });
          }
          if (!signal.aborted) await send('deleted', { id: key.id });
        }),
      );
      return undefined;
    },
    'account.events': async ({ accountId, request, reply }) => {
      const boundIds = request.grant?.datasetIds;
      await withAnySignal([stopping, disconnectSignal(reply)], async (signal) => {
        const events = watchAccount(accountId, signal);
        try {
          // Waits for `open`, so that a client misses no change that follows the response headers.
          await events.next();
          await stream(reply, { options, signal }, async (send) => {
            for await (const event of events) {
              if (boundIds && event.type !== 'open' && !boundIds.includes(idOf(event))) continue;
              if (event.type === 'dataset') await send('dataset', datasetToWire(event.summary));
              else if (event.type === 'deleted') await send('deleted', { id: event.id });
            }
          });
        } finally {
          // The answer to HEAD takes no event, and the watch would continue.
          void events.return(undefined);
        }
      });
      return undefined;
    },
  };
}

function idOf(event: Exclude<AccountEvent, { type: 'open' }>): string {
  return event.type === 'dataset' ? event.summary.dataset.id : event.id;
}

/**
 * Responds with server-sent events (https://html.spec.whatwg.org/#server-sent-events) until `produce` returns, or the token
 * or session of the request expires or is revoked.
 */
async function stream(
  reply: FastifyReply,
  { options, signal }: { options: StreamOptions; signal: AbortSignal },
  produce: (send: Send) => Promise<void>,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  const { secret, accountId } = reply.request;
  raw.writeHead(200, {
    ...NOSNIFF,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // Asks nginx not to buffer events (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
    'x-accel-buffering': 'no',
  });
  raw.flushHeaders();
  // The connection must be free for the next request.
  if (reply.request.method === 'HEAD') {
    raw.end();
    return;
  }
  let unread = 0;
  const heartbeat = setInterval(() => {
    unread = raw.writableLength > 0 ? unread + 1 : 0;
    if (unread > MAX_UNREAD_HEARTBEATS) raw.destroy();
    raw.write(': still here\n\n');
    // While the catalog does not answer, the stream continues until the token expires.
    const grant = options.accounts.grantOf(secret).catch(() => reply.request.grant);
    void grant.then((found) => (found === undefined || isExpired(found, options.now())) && raw.end());
  }, HEARTBEAT_MS);
  const send: Send = async (event, data) => {
    if (raw.writableEnded) return;
    if (raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)) return;
    options.holdUnsent(raw, { accountId, bytes: raw.writableLength });
    await once(raw, 'drain', { signal });
    options.holdUnsent(raw, { accountId, bytes: 0 });
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
