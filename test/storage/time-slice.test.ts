import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { AccountTurns } from '../../src/service/limits/account-turns.js';
import { noteConnection, turn } from '../../src/storage/time-slice.js';

const CONNECTIONS = 100;
const PIECE_MS = 5;

let pieces = 0;

function workOnPiece(): void {
  pieces++;
  const begunAt = performance.now();
  while (performance.now() - begunAt < PIECE_MS);
}

/** Opens connections, each with a byte, which the kernel completes before the server accepts them. */
async function openConnections(onByte = () => {}): Promise<{ accepted: Socket[] }> {
  pieces = 0;
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const accepted: Socket[] = [];
  server.on('connection', (socket) => {
    noteConnection();
    accepted.push(socket);
    socket.once('data', onByte);
  });
  const clients = Array.from({ length: CONNECTIONS }, () => connect(port, '127.0.0.1'));
  for (const client of clients) client.write('a');
  onTestFinished(() => {
    server.close();
    for (const socket of [...clients, ...accepted]) socket.destroy();
  });
  return { accepted };
}

test('many new connections wait for a few pieces of work only', async () => {
  const { accepted } = await openConnections();
  while (accepted.length < CONNECTIONS) {
    await turn();
    workOnPiece();
  }
  expect(pieces).toBeLessThan(CONNECTIONS / 2);
});

test('many new connections wait for a few pieces of the work that they begin', async () => {
  const turns = new AccountTurns();
  const { accepted } = await openConnections(() => void turns.take('a').then(workOnPiece));
  while (accepted.length < CONNECTIONS) await new Promise(setImmediate);
  expect(pieces).toBeLessThan(CONNECTIONS / 2);
});
