import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { connectionClosed, onceClosed } from '../bodies.js';
import type { App } from '../context.js';

/**
 * Answers clients that close their side of the connection once they have sent the request (RFC 9293, section 3.6). A client that
 * has gone looks the same until something is sent to it, so that what it asked for is done.
 */
export function answerHalfClosed({ server }: App): void {
  // Node has the option, but not in its types. Without it, Node closes a connection whose request is being answered.
  Object.assign(server, { httpAllowHalfOpen: true });
}

/**
 * Calls `work` once for each request of a scope: when the response has been sent, or else when the handler has ended and the
 * client has gone. Fastify's own `onResponse` is not called for a client that has gone.
 */
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

/** Fires when the connection closes: after the response has been sent, or when the client disconnects before that. */
export function disconnectSignal(reply: FastifyReply): AbortSignal {
  const disconnected = new AbortController();
  onceClosed(reply.raw, () => disconnected.abort(connectionClosed()));
  return disconnected.signal;
}

/** Fires also when the client closes its side of the connection: most that do so while they wait have gone. */
export function hangUpSignal(reply: FastifyReply): AbortSignal {
  const { socket } = reply.request.raw;
  const hungUp = new AbortController();
  const hangUp = () => hungUp.abort();
  if (socket.readableEnded) hangUp();
  socket.once('end', hangUp);
  onceClosed(reply.raw, () => {
    socket.off('end', hangUp);
    hangUp();
  });
  return hungUp.signal;
}
