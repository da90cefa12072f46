import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { connectionClosed, onceClosed } from '../bodies.js';
import type { App } from '../context.js';

/** After which a client that has gone has refused what was sent to it, on most networks. */
const PROBE_MS = 1000;

/**
 * Answers clients that close their side of the connection once they have sent the request (RFC 9293, section 3.6). A client that
 * has gone looks the same until something is sent to it, so an interim answer is (RFC 9110, section 15.2): the system of a client
 * that has gone refuses the first, and the second finds the connection closed.
 */
export function answerHalfClosed({ server }: App): void {
  // Node has the option, but not in its types. Without it, Node closes a connection whose request is being answered.
  Object.assign(server, { httpAllowHalfOpen: true });
  /** The requests of a connection that are not answered yet, in order. */
  const unanswered = new WeakMap<Socket, Set<ServerResponse>>();
  server.on('connection', (socket: Socket) => {
    const responses = new Set<ServerResponse>();
    unanswered.set(socket, responses);
    const probe = () => {
      const [first] = responses;
      if (first?.headersSent === false) first.writeContinue();
    };
    socket.once('end', () => {
      probe();
      setTimeout(probe, PROBE_MS).unref();
    });
  });
  server.on('request', ({ socket, httpVersionMinor }: IncomingMessage, response: ServerResponse) => {
    // Clients of HTTP/1.0 know no interim answers.
    if (httpVersionMinor < 1) return;
    const responses = unanswered.get(socket);
    responses?.add(response);
    onceClosed(response, () => responses?.delete(response));
  });
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

/**
 * Sends no stream to a client that went while it was opened. Of requests that wait behind others of their connection, Fastify
 * does not notice that the client has gone, and the stream would keep its file open.
 */
export function endUnsentStreams(app: App): void {
  app.addHook('onSend', async (_request, { raw: response }, payload) => {
    if (!response.destroyed || !(payload instanceof Readable)) return payload;
    payload.destroy();
    return null;
  });
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
