import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A TCP relay to a server with faults on demand; requests and signatures stay unchanged. */
export interface TcpLink {
  /** The server's URL through the relay. */
  readonly url: string;
  /** Silently holds every byte in both directions. */
  readonly stall: () => void;
  /** Breaks the connection at the server's next answer, once. */
  readonly loseNextAnswer: () => void;
  /** Breaks the connection after this many bytes of answers. */
  readonly cutAfter: (bytes: number) => void;
  /** Breaks all connections and refuses new ones. */
  readonly goAway: () => Promise<void>;
  /** Relays again; held bytes are dropped. */
  readonly mend: () => Promise<void>;
}

/** Starts a relay to the server at that URL, stopped with the test. */
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
