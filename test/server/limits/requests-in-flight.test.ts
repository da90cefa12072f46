import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { RequestsInFlight } from '../../../src/server/limits/requests-in-flight.js';
import { eventually } from '../../harness/server.js';

test('requests count until their answer ends, for their account and for all', async () => {
  const inFlight = new RequestsInFlight({ ofAccount: 2, ofAll: 3, what: 'downloads in flight' });
  const responses: ServerResponse[] = [];
  const server = createServer((_, response) => responses.push(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: 4 }, () => {
    const client = new AbortController();
    fetch(`http://127.0.0.1:${port}/`, { signal: client.signal }).catch(() => {});
    return client;
  });
  await eventually(() => responses.length === clients.length || undefined);
  const [first, second, third, fourth] = responses as [ServerResponse, ServerResponse, ServerResponse, ServerResponse];
  inFlight.admit('a', first);
  inFlight.admit('a', second);
  const message = 'The account has 2 downloads in flight. Wait until one of them ends.';
  expect(() => inFlight.admit('a', fourth)).toThrow(expect.objectContaining({ code: 'too_many_requests', message }));
  inFlight.admit('b', third);
  expect(() => inFlight.admit('b', fourth)).toThrow(
    expect.objectContaining({ code: 'overloaded', message: 'The server has 3 downloads in flight. Try again soon.' }),
  );
  first.end();
  await once(first, 'close');
  inFlight.admit('a', fourth);
});
