import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App } from '../context.js';

/**
 * Closes a connection whose client has taken no byte of a response for the `connectionTimeout` of the app. Without the
 * listener, Node would also close connections whose response takes long.
 */
export function endStalledResponses({ server }: App): void {
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    response.on('timeout', () => {
      // A reset frees the bytes that the kernel still holds for the client.
      if (socket.writableLength > 0) socket.resetAndDestroy();
    });
  });
}
