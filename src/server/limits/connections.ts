import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ServiceError } from '../../dataset/errors.js';
import { hasFreeDescriptor, openFileLimit } from '../../open-file-limit.js';
import { noteConnection } from '../../storage/time-slice.js';
import { onceClosed } from '../bodies.js';
import type { App } from '../context.js';

/** Connections beyond the limit that get an answer instead of being closed at once. */
const MAX_REJECTED = 100;
const MAX_REJECTED_MS = 5000;

/** Open files that are not connections: the 256 folders of the store, the catalog, pipes to inspection processes. */
const OTHER_FILES = 320;

const CHECK_DESCRIPTORS_MS = 500;

/** Asked by load balancers and monitoring, which must not take a busy server for a dead one. */
const ALWAYS_ANSWERED = new Set(['/healthz', '/readyz', '/metrics']);

export interface Connections {
  /** The effective limit. */
  readonly max: number;
  readonly open: () => number;
}

/**
 * Limits the connections of an app that does not listen yet. Beyond the limit, the connection that has been without a request
 * for longest makes room. If each has one, a request on a further connection is answered with 503, and its connection closed.
 * Where the process has no free file descriptor, all connections without a request are closed.
 */
export function limitConnections(app: App, limit: number): Connections {
  const max = Math.min(limit, Math.max(1, openFileLimit() - OTHER_FILES));
  const rejected = new WeakSet<Socket>();
  /** The connections without a request, beginning with the one that has been so for longest. */
  const idle = new Set<Socket>();
  /** Requests in progress; a client may send several at once. */
  const requests = new WeakMap<Socket, number>();
  let open = 0;
  app.server.maxConnections = max + MAX_REJECTED;
  app.server.on('connection', (socket: Socket) => {
    noteConnection();
    open++;
    socket.once('close', () => open--);
    idle.add(socket);
    socket.once('close', () => idle.delete(socket));
    if (open <= max) return;
    const [longestIdle] = idle;
    if (longestIdle !== socket) {
      longestIdle?.destroy();
      return;
    }
    rejected.add(socket);
    const timer = setTimeout(() => socket.destroy(), MAX_REJECTED_MS);
    socket.once('close', () => clearTimeout(timer));
  });
  app.server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    idle.delete(socket);
    const inProgress = (requests.get(socket) ?? 0) + 1;
    requests.set(socket, inProgress);
    onceClosed(response, () => {
      const remaining = (requests.get(socket) ?? 0) - 1;
      requests.set(socket, remaining);
      if (remaining <= 0 && !socket.destroyed) idle.add(socket);
    });
  });
  // Without a free descriptor, Node neither accepts nor closes a connection that waits for it, and tries again in a busy loop.
  let idleBefore: readonly Socket[] = [];
  const timer = setInterval(() => {
    if (hasFreeDescriptor()) {
      idleBefore = [];
      return;
    }
    // On a connection that has become idle since, a request may be arriving.
    for (const socket of idleBefore) if (idle.has(socket)) socket.destroy();
    idleBefore = [...idle];
  }, CHECK_DESCRIPTORS_MS);
  timer.unref();
  app.addHook('onClose', async () => clearInterval(timer));
  app.addHook('onRequest', async ({ raw, routeOptions }) => {
    if (!rejected.has(raw.socket) || ALWAYS_ANSWERED.has(routeOptions.url ?? '')) return;
    const message = `The server has ${max} connections, its limit (--max-connections). Try again soon.`;
    throw new ServiceError('overloaded', message, { retryAfterSeconds: 1 });
  });
  app.addHook('onSend', async ({ raw }, reply) => {
    if (rejected.has(raw.socket)) reply.header('connection', 'close');
  });
  return { max, open: () => open };
}
