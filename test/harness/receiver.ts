import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request that a receiver of webhooks got. */
interface Received {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** Connections so far, also those without a request. */
  readonly connections: () => number;
  /** The parsed bodies of the requests. */
  readonly events: () => { type: string; timestamp: string; data: Record<string, unknown> }[];
  /** How it answers from now on; at first with 204. */
  answer: (response: ServerResponse, request: IncomingMessage) => void;
  readonly close: () => Promise<void>;
}

/** Starts a receiver of webhooks, a real HTTP server. */
export async function startReceiver({ host = '127.0.0.1', port = 0 } = {}): Promise<Receiver> {
  const received: Received[] = [];
  let connections = 0;
  const server = createServer(async (request, response) => {
    const body = await text(request).catch(() => '');
    received.push({ method: request.method, path: request.url, headers: request.headers, body });
    receiver.answer(response, request);
  });
  server.on('connection', () => {
    connections++;
  });
  await once(server.listen(port, host), 'listening');
  const address = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://${host}:${address.port}/hook`,
    port: address.port,
    received,
    connections: () => connections,
    events: () => received.map(({ body }) => JSON.parse(body)),
    answer: (response) => response.writeHead(204).end(),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return receiver;
}

/** Whether the signature is that of Standard Webhooks; shares no code with the service. */
export function isSigned({ headers, body }: Received, secret: string): boolean {
  const [id, timestamp] = [headers['webhook-id'], headers['webhook-timestamp']];
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`, 'utf8').digest('base64');
  const isRecent = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300;
  return key.length === 32 && isRecent && headers['webhook-signature'] === `v1,${expected}`;
}
