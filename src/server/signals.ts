import type { FastifyReply } from 'fastify';

/** Fires when the answer has been sent, or when the client went away before. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
