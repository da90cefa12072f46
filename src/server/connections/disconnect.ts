import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { connectionClosed, onceClosed } from '../bodies.js';

/** RFC 9112, section 9.3.2. Node hands over all requests at once, and tells only the first of them about a disconnect. */
export function handleSequentially(app: FastifyInstance): void {
  const latest = new WeakMap<Socket, ServerResponse>();
  app.addHook('onRequest', async ({ raw: { socket } }, reply) => {
    const previous = latest.get(socket);
    latest.set(socket, reply.raw);
    if (previous === undefined || previous.closed) return undefined;
    await new Promise<void>((resolve) => onceClosed(previous, resolve));
    return socket.destroyed ? reply.hijack() : undefined;
  });
}

/** Once for each request, also when its client has gone, for which Fastify does not call `onResponse`. */
export function onceAnswered(
  scope: FastifyInstance,
  work: (request: FastifyRequest, reply: FastifyReply) => void,
): void {
  const answered = new WeakSet<FastifyRequest>();
  const end = (request: FastifyRequest, reply: FastifyReply) => {
    if (answered.has(request)) return;
    answered.add(request);
    work(request, reply);
  };
  scope.addHook('onResponse', async (request, reply) => end(request, reply));
  scope.addHook('onSend', async (request, reply) => onceClosed(reply.raw, () => end(request, reply)));
}

/** Fires only before the response has been sent. */
export function disconnectSignal(reply: FastifyReply): AbortSignal {
  const disconnected = new AbortController();
  onceClosed(reply.raw, () => {
    if (!reply.raw.writableFinished) disconnected.abort(connectionClosed());
  });
  return disconnected.signal;
}

/** Only for clients that take no byte: without the listener, Node would also close connections whose response takes long. */
export function endStalledResponses({ server }: FastifyInstance): void {
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    response.on('timeout', () => {
      // A reset frees bytes that the kernel holds for the client.
      if (socket.writableLength > 0) socket.resetAndDestroy();
    });
  });
}
