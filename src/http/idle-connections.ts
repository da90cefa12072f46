import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Lets a server that is about to stop get rid of connections on which nothing is under way, those included that have never
 * brought a request: Node counts these as busy, and clients open some in advance.
 *
 * @returns what closes them, and from then on each connection whose answer is over
 */
export function idleConnectionsOf(server: Server): () => void {
  const unused = new Set<Socket>();
  let isStopping = false;
  server.on('connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }, response) => {
    unused.delete(socket);
    response.once('close', () => {
      if (isStopping) server.closeIdleConnections();
    });
  });
  return () => {
    isStopping = true;
    server.closeIdleConnections();
    for (const socket of unused) socket.destroy();
  };
}
