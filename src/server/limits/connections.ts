import type { Socket } from 'node:net';
import { ServiceError } from '../../dataset/errors.js';
import { openFileLimit } from '../../open-file-limit.js';
import type { App } from '../context.js';

/** Connections beyond the limit whose requests are answered with 503. Node closes further ones at once. */
const MAX_REJECTED = 100;

/** Open files that are not connections: the 256 folders of the store, the catalog, pipes to inspection processes. */
const OTHER_FILES = 320;

/** Asked by load balancers and monitoring, which must not take a busy server for a dead one. */
const ALWAYS_ANSWERED = new Set(['/healthz', '/readyz', '/metrics']);

export interface Connections {
  /** The effective limit. */
  readonly max: number;
  readonly open: () => number;
}

/** Limits the connections of an app that does not listen yet. A request on a further connection is answered with 503. */
export function limitConnections(app: App, limit: number): Connections {
  const max = Math.min(limit, Math.max(1, openFileLimit() - OTHER_FILES));
  const rejected = new WeakSet<Socket>();
  let open = 0;
  app.server.maxConnections = max + MAX_REJECTED;
  app.server.on('connection', (socket: Socket) => {
    open++;
    socket.once('close', () => open--);
    if (open > max) rejected.add(socket);
  });
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
