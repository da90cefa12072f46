import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * The door stays open, with nobody let in, until nobody has come for so long, and for `LONGEST_TURNING_AWAY_MS` at the most.
 * Whoever has connected when it closes without having been heard, or is sending through a connection that was idle, is cut
 * off; a load balancer can't know then whether to ask another instance. One that is told 503 does, and stays away.
 */
const QUIET_MS = 300;
const LONGEST_TURNING_AWAY_MS = 3000;

/**
 * Watches who comes to a server, so that it can be closed behind the last of them.
 *
 * @returns what waits, `mostMs` at the longest, until it is time to close; connections that have never brought a request are
 * cut then: Node counts them as busy, and clients open some in advance
 */
export function watchConnections(server: Server): (mostMs: number) => Promise<void> {
  const unused = new Set<Socket>();
  let lastCame = Number.NEGATIVE_INFINITY;
  server.on('connection', (socket: Socket) => {
    lastCame = performance.now();
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }, response) => {
    lastCame = performance.now();
    unused.delete(socket);
    // Answers that had begun before could not say that it is over: their connections would be kept for a next request.
    response.once('close', () => {
      if (!server.listening) server.closeIdleConnections();
    });
  });
  return async (mostMs) => {
    const deadline = performance.now() + Math.min(mostMs, LONGEST_TURNING_AWAY_MS);
    for (;;) {
      const leftMs = Math.min(lastCame + QUIET_MS, deadline) - performance.now();
      if (leftMs <= 0) break;
      await wait(leftMs);
    }
    for (const socket of unused) socket.destroy();
  };
}
