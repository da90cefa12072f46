import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A line to a server that can be disturbed; requests and signatures stay as they are. */
export interface TcpLink {
  /** The server's address as it is reached through the line. */
  readonly url: string;
  /** Nothing passes any more, in either direction, and nobody is told. */
  readonly stall: () => void;
  /** What the server says is lost: the connection breaks at its next answer, once. */
  readonly loseNextAnswer: () => void;
  /** The connection breaks once so many bytes of answers have passed. */
  readonly cutAfter: (bytes: number) => void;
  /** All connections break, and new ones are refused. */
  readonly goAway: () => Promise<void>;
  /** Everything passes again; what was held back does not. */
  readonly mend: () => Promise<void>;
}

/** Lays a line to the server at that URL, removed with the test. */
export async function tcpLinkTo(target: string): Promise<TcpLink> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let isStalled = false;
  let losesAnswer = false;
  let bytesLeft = Number.POSITIVE_INFINITY;

  const serve = (client: Socket) => {
    const server = connect(Number(port), hostname);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on('data', (chunk: Buffer) => {
        if (isStalled) return;
        if (from === server && losesAnswer) {
          losesAnswer = false;
          return from.destroy();
        }
        if (from === server) bytesLeft -= chunk.length;
        if (bytesLeft < 0) {
          bytesLeft = Number.POSITIVE_INFINITY;
          return from.destroy();
        }
        if (to.write(chunk)) return;
        from.pause();
        to.once('drain', () => from.resume());
      });
    }
  };

  let listener: Server;
  let ownPort = 0;
  const listen = async () => {
    listener = createServer(serve).listen(ownPort, '127.0.0.1');
    await once(listener, 'listening');
    ownPort = (listener.address() as AddressInfo).port;
  };
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const goAway = async () => {
    const closed = once(listener, 'close');
    listener.close();
    breakAll();
    await closed;
  };
  await listen();
  onTestFinished(async () => {
    if (listener.listening) await goAway();
  });
  return {
    url: `http://127.0.0.1:${ownPort}`,
    stall: () => {
      isStalled = true;
    },
    loseNextAnswer: () => {
      losesAnswer = true;
    },
    cutAfter: (bytes) => {
      bytesLeft = bytes;
    },
    goAway,
    mend: async () => {
      breakAll();
      isStalled = false;
      if (!listener.listening) await listen();
    },
  };
}
