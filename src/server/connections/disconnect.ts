import type { FastifyReply } from 'fastify';
import type { App } from '../context.js';

/**
 * Answers clients that close their side of the connection once they have sent the request (RFC 9293, section 3.6). A client that
 * has gone looks the same until something is sent to it, so that what it asked for is done.
 */
export function answerHalfClosed({ server }: App): void {
  // Node has the option, but not in its types. Without it, Node closes a connection whose request is being answered.
  Object.assign(server, { httpAllowHalfOpen: true });
}

/** Fires when the connection closes: after the response has been sent, or when the client disconnects before that. */
export function disconnectSignal(reply: FastifyReply): AbortSignal {
  const disconnected = new AbortController();
  reply.raw.once('close', () => disconnected.abort());
  return disconnected.signal;
}

/** Fires also when the client closes its side of the connection: most that do so while they wait have gone. */
export function hangUpSignal(reply: FastifyReply): AbortSignal {
  const { socket } = reply.request.raw;
  const hungUp = new AbortController();
  const hangUp = () => hungUp.abort();
  if (socket.readableEnded) hangUp();
  socket.once('end', hangUp);
  reply.raw.once('close', () => {
    socket.off('end', hangUp);
    hangUp();
  });
  return hungUp.signal;
}
