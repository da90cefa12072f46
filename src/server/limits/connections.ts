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

/** For each response for which a connection is kept. */
const releases = new WeakMap<ServerResponse, () => void>();

/** No longer keeps the connection of a response, because its client has the answer; not an error if it is not kept. */
export function releaseConnection(response: ServerResponse): void {
  const release = releases.get(response);
  releases.delete(response);
  release?.();
}

export interface Connections {
  /** The effective limit. */
  readonly max: number;
  readonly open: () => number;
  /** Keeps the connection of a request until the response closes, because a client with a token or a link waits for it. */
  readonly keep: (request: IncomingMessage, response: ServerResponse) => void;
}

/**
 * Limits the connections of an app that does not listen yet. Beyond the limit, one makes room that is not kept: it has no request,
 * or one without a token or a link, whose client could keep out all others; of several, the one that was used longest ago. If all
 * are kept, a request on a further connection is answered with 503, and its connection closed. Where the process has no free file
 * descriptor, all that are not kept are closed.
 */
export function limitConnections(app: App, limit: number): Connections {
  const max = Math.min(limit, Math.max(1, openFileLimit() - OTHER_FILES));
  const rejected = new WeakSet<Socket>();
  /** The connections that are not kept, beginning with the one that was used longest ago. */
  const unkept = new Set<Socket>();
  /** The requests in progress for which a connection is kept; a client may send several at once. */
  const requests = new WeakMap<Socket, number>();
  const addRequests = (socket: Socket, count: number) => {
    const sum = (requests.get(socket) ?? 0) + count;
    requests.set(socket, sum);
    if (sum > 0) unkept.delete(socket);
    else if (!socket.destroyed) unkept.add(socket);
  };
  const keep = ({ socket }: IncomingMessage, response: ServerResponse) => {
    addRequests(socket, 1);
    releases.set(response, () => addRequests(socket, -1));
    onceClosed(response, () => releaseConnection(response));
  };
  let open = 0;
  app.server.maxConnections = max + MAX_REJECTED;
  app.server.on('connection', (socket: Socket) => {
    noteConnection();
    open++;
    socket.once('close', () => open--);
    unkept.add(socket);
    socket.once('close', () => unkept.delete(socket));
    if (open <= max) return;
    const [first] = unkept;
    if (first !== socket) {
      first?.destroy();
      return;
    }
    rejected.add(socket);
    unkept.delete(socket);
    const timer = setTimeout(() => socket.destroy(), MAX_REJECTED_MS);
    socket.once('close', () => clearTimeout(timer));
  });
  app.server.on('request', ({ socket }: IncomingMessage) => {
    if (unkept.delete(socket)) unkept.add(socket);
  });
  // Without a free descriptor, Node neither accepts nor closes a connection that waits for it, and tries again in a busy loop.
  let unkeptBefore: readonly Socket[] = [];
  const timer = setInterval(() => {
    if (hasFreeDescriptor()) {
      unkeptBefore = [];
      return;
    }
    // On one that was kept until now, the next request may be arriving.
    for (const socket of unkeptBefore) if (unkept.has(socket)) socket.destroy();
    unkeptBefore = [...unkept];
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
  return { max, open: () => open, keep };
}
