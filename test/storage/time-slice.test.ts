import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { noteConnection, turn } from '../../src/storage/time-slice.js';

const PIECE_MS = 5;

test('many new connections wait for a few pieces of work only', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const accepted: Socket[] = [];
  server.on('connection', (socket) => {
    noteConnection();
    accepted.push(socket);
  });
  // The kernel completes them before the server accepts them.
  const clients = Array.from({ length: 100 }, () => connect(port, '127.0.0.1'));
  let pieces = 0;
  while (accepted.length < clients.length) {
    await turn();
    pieces++;
    const begunAt = performance.now();
    while (performance.now() - begunAt < PIECE_MS);
  }
  expect(pieces).toBeLessThan(50);
  for (const socket of [...clients, ...accepted]) socket.destroy();
});
