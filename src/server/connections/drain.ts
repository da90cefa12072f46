import type { Socket } from 'node:net';
import { setImmediate as pollConnections, setTimeout as wait } from 'node:timers/promises';
import { ServiceError } from '../../dataset/errors.js';
import { onceClosed } from '../bodies.js';
import type { FastifyInstance } from 'fastify';

/** Without a new connection or request. */
const QUIET_MS = 300;
const MAX_DRAIN_MS = 3000;

/** The first step of a graceful shutdown, before `stop` of `app.ts` closes the server and everything behind it. */
export interface Drain {
  /** Fires when draining begins; the reason is ServiceError `shutting_down`. */
  readonly stopping: AbortSignal;
  /** Answers 503, which load balancers retry elsewhere, until no connection has come for 300 ms; at most for `maxMs` or 3 s. */
  readonly drain: (maxMs: number) => Promise<void>;
}

/** For an app that does not listen yet. */
export function registerDrain(app: FastifyInstance): Drain {
  const stopping = new AbortController();
  app.addHook('onRequest', async () => {
    stopping.signal.throwIfAborted();
  });
  app.addHook('onSend', async (_request, reply) => {
    if (stopping.signal.aborted) reply.header('connection', 'close');
  });

  const unusedSockets = new Set<Socket>();
  let lastArrivalMs = Number.NEGATIVE_INFINITY;
  app.server.on('connection', (socket: Socket) => {
    lastArrivalMs = performance.now();
    unusedSockets.add(socket);
    socket.once('close', () => unusedSockets.delete(socket));
  });
  app.server.on('request', ({ socket }, response) => {
    lastArrivalMs = performance.now();
    unusedSockets.delete(socket);
    // Responses begun before draining have no "connection: close".
    onceClosed(response, () => {
      if (!app.server.listening) app.server.closeIdleConnections();
    });
  });
  const drain = async (maxMs: number) => {
    stopping.abort(new ServiceError('shutting_down', 'The server is shutting down. Try again.'));
    const deadline = performance.now() + Math.min(maxMs, MAX_DRAIN_MS);
    for (;;) {
      const now = performance.now();
      // Accepts earlier connections, for which the process may have had no time.
      await pollConnections();
      const remainingMs = Math.min(lastArrivalMs + QUIET_MS, deadline) - now;
      if (remainingMs <= 0) break;
      await wait(remainingMs);
    }
    // Node counts connections without a request, which clients open in advance, as busy.
    for (const socket of unusedSockets) socket.destroy();
  };
  return { stopping: stopping.signal, drain };
}
