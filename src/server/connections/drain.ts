import type { Socket } from 'node:net';
import { setImmediate as pollConnections, setTimeout as wait } from 'node:timers/promises';
import { ServiceError } from '../../dataset/errors.js';
import { onceClosed } from '../bodies.js';
import type { FastifyInstance } from 'fastify';

/** Draining ends when no connection or request has arrived for this long. */
const QUIET_MS = 300;
const MAX_DRAIN_MS = 3000;

/**
 * The first step of a graceful shutdown: on SIGTERM, `stopOnSignal` (`cli/commands/serve.ts`) calls `stop` of `app.ts`, which
 * drains the server, closes it, and then stops everything behind it.
 */
export interface Drain {
  /** Fires when draining begins, with ServiceError `shutting_down` as its reason. */
  readonly stopping: AbortSignal;
  /**
   * Keeps answering 503 until no connection has arrived for 300 ms, but at most for `maxMs` or 3 s. A load balancer retries a
   * 503 on another instance, but not a connection that is cut.
   */
  readonly drain: (maxMs: number) => Promise<void>;
}

/** Adds graceful shutdown to an app that does not listen yet. Requests that arrive while it drains are rejected with 503. */
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
    // Responses whose headers were sent before draining began have no "connection: close", so their connections stay open.
    onceClosed(response, () => {
      if (!app.server.listening) app.server.closeIdleConnections();
    });
  });
  const drain = async (maxMs: number) => {
    stopping.abort(new ServiceError('shutting_down', 'The server is shutting down. Try again.'));
    const deadline = performance.now() + Math.min(maxMs, MAX_DRAIN_MS);
    for (;;) {
      const now = performance.now();
      // Accepts connections that arrived until now, since the process may have had no time for them.
      await pollConnections();
      const remainingMs = Math.min(lastArrivalMs + QUIET_MS, deadline) - now;
      if (remainingMs <= 0) break;
      await wait(remainingMs);
    }
    // Clients open connections in advance. Node counts one without a request as busy and would wait for it.
    for (const socket of unusedSockets) socket.destroy();
  };
  return { stopping: stopping.signal, drain };
}
