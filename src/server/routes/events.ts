import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import { withAnySignal } from '../../abort-signals.js';
import type { DatasetService } from '../../service/datasets.js';
import type { ServiceDependencies } from '../../service/dependencies.js';
import {
  type AccountEvent,
  AccountWatches,
  WATCH_PAUSE,
  waitUnlessAborted,
  watchDataset,
} from '../../service/watch.js';
import { type Accounts, isExpired } from '../../storage/catalog/accounts.js';
import type { CaptionRuns } from '../../storage/catalog/captioning.js';
import { scopeOf } from '../auth.js';
import { closedSignal, type HoldUnsent } from '../connections.js';
import { NOSNIFF } from '../errors.js';
import type { Handlers } from '../register-routes.js';
import { changeToWire, listedToWire } from '../wire.js';
import { captionRunToWire } from './captioning.js';

/** Many proxies close connections that are idle for a minute. */
const HEARTBEAT_MS = 15_000;

/** Then the stream of a client that reads nothing ends. */
const MAX_UNREAD_HEARTBEATS = 8;

/** Resolves when the connection accepts another event. */
type Send = (event: string, data: unknown) => Promise<void>;

interface StreamOptions {
  readonly accounts: Accounts;
  readonly now: () => number;
  readonly holdUnsent: HoldUnsent;
  readonly stopping: AbortSignal;
}

interface EventServices extends StreamOptions {
  readonly core: ServiceDependencies;
  readonly datasets: DatasetService;
  readonly captionRuns: CaptionRuns;
}

export function eventHandlers({ core, datasets, captionRuns, ...options }: EventServices) {
  const { stopping } = options;
  const accountWatches = new AccountWatches(core);
  return {
    'dataset.events': async ({ key, query, request, reply }) => {
      const { boundIds, isShare } = scopeOf(request);
      await datasets.summary(key);
      await withAnySignal([stopping, closedSignal(reply)], (signal) =>
        stream(reply, { options, signal }, async (send) => {
          const withLinked = query.linked === 'true';
          for await (const change of watchDataset(core, key, { signal, withLinked, withCaptionRuns: !isShare })) {
            const { filenames, dataset, captionRuns: ids } = change;
            if (dataset.id !== key.id && boundIds?.includes(dataset.id) === false) continue;
            const files = filenames && (await datasets.filesNamed(dataset.id, filenames));
            const runs = ids.length === 0 ? [] : await captionRuns.list(dataset.id, { ids });
            await send('dataset', {
              ...changeToWire(change, files),
              ...(runs.length > 0 && { caption_runs: runs.map(captionRunToWire) }),
            });
            await waitUnlessAborted(WATCH_PAUSE, { signal });
          }
          if (!signal.aborted) await send('deleted', { id: key.id });
        }),
      );
      return undefined;
    },
    'account.events': async ({ accountId, request, reply }) => {
      const boundIds = request.grant?.datasetIds;
      await withAnySignal([stopping, closedSignal(reply)], async (signal) => {
        const events = accountWatches.follow(accountId, signal);
        try {
          // The client misses no change after the response headers.
          await events.next();
          await stream(reply, { options, signal }, async (send) => {
            for await (const event of events) {
              if (boundIds && event.type !== 'open' && !boundIds.includes(idOf(event))) continue;
              if (event.type === 'dataset') await send('dataset', listedToWire(event.summary, boundIds));
              else if (event.type === 'deleted') await send('deleted', { id: event.id });
            }
          });
        } finally {
          // HEAD takes no event, so the watch would continue.
          void events.return(undefined);
        }
      });
      return undefined;
    },
  } satisfies Partial<Handlers>;
}

function idOf(event: Exclude<AccountEvent, { type: 'open' }>): string {
  return event.type === 'dataset' ? event.summary.dataset.id : event.id;
}

/** Server-sent events (https://html.spec.whatwg.org/#server-sent-events), until `produce` returns or the token ends. */
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
    // nginx must not buffer events (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
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
    // Unread, a response that has ended stays open, and a write to it would end the process.
    if (!raw.writableEnded) raw.write(': still here\n\n');
    // Without the catalog, the stream continues until the token expires.
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
    // The client reconnects. A disconnected client is no error.
    if (!signal.aborted) reply.log.error({ err: error }, 'an event stream failed');
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}
