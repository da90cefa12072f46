import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

interface Target {
  readonly host: string;
  readonly port: number;
}

/** A TCP relay to a server. */
class Relay {
  port = 0;
  readonly #sockets = new Set<Socket>();
  readonly #serve: (client: Socket) => void;
  #listener: Server | undefined;

  /** @param pass decides what becomes of the bytes of a connection */
  constructor(target: Target, pass: (client: Socket, server: Socket) => void) {
    this.#serve = (client) => {
      const server = connect({ ...target, allowHalfOpen: true });
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.on('error', () => {});
        socket.on('close', () => this.#sockets.delete(socket));
      }
      pass(client, server);
    };
  }

  async listen(): Promise<this> {
    if (this.#listener?.listening) return this;
    this.#listener = createServer({ allowHalfOpen: true }, this.#serve).listen(this.port, '127.0.0.1');
    await once(this.#listener, 'listening');
    this.port = (this.#listener.address() as AddressInfo).port;
    return this;
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Breaks all connections and refuses new ones. */
  async close(): Promise<void> {
    if (!this.#listener?.listening) return;
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    this.breakAll();
    await closed;
  }
}

const directionsOf = (client: Socket, server: Socket) =>
  [
    [client, server],
    [server, client],
  ] as const;

/** When one side of a connection ends, so does the other. */
function endTogether(client: Socket, server: Socket): void {
  for (const [from, to] of directionsOf(client, server)) {
    from.on('end', () => from.end());
    from.on('close', () => to.destroy());
  }
}

/** A TCP relay to a server with faults on demand; requests and signatures stay unchanged. */
export interface TcpLink {
  /** The server's URL through the relay. */
  readonly url: string;
  /** How many are open. */
  readonly connections: () => number;
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
  const { hostname: host, port } = new URL(target);
  let isStalled = false;
  let losesAnswer = false;
  let bytesLeft = Number.POSITIVE_INFINITY;
  const relay = new Relay({ host, port: Number(port) }, (client, server) => {
    endTogether(client, server);
    for (const [from, to] of directionsOf(client, server)) {
      from.on('data', (chunk: Buffer) => {
        if (isStalled) return;
        if (from === server) bytesLeft -= chunk.length;
        if (from === server && (losesAnswer || bytesLeft < 0)) {
          if (bytesLeft < 0) bytesLeft = Number.POSITIVE_INFINITY;
          losesAnswer = false;
          from.destroy();
          return;
        }
        if (to.write(chunk)) return;
        from.pause();
        to.once('drain', () => from.resume());
      });
    }
  });
  await relay.listen();
  onTestFinished(() => relay.close());
  return {
    url: `http://127.0.0.1:${relay.port}`,
    connections: () => relay.connections,
    stall: () => {
      isStalled = true;
    },
    loseNextAnswer: () => {
      losesAnswer = true;
    },
    cutAfter: (bytes) => {
      bytesLeft = bytes;
    },
    goAway: () => relay.close(),
    mend: async () => {
      relay.breakAll();
      isStalled = false;
      await relay.listen();
    },
  };
}

/** A TCP proxy that counts round trips and can stop relaying. */
export interface TcpProxy {
  readonly port: number;
  /**
   * For each connection the bytes that the client sent in each round trip, as text. The first bytes that it sends after an
   * answer begin a new one.
   */
  readonly conversations: readonly { readonly trips: string[] }[];
  /** Holds every byte in both directions from now on; no connection breaks. */
  readonly fallSilent: () => void;
  /**
   * Breaks the first connection whose client sends matching text: before it is relayed or, with `answer`, when the matching
   * answer arrives, which is not relayed.
   */
  readonly breakAt: (asked: RegExp, answer?: RegExp) => void;
  /** Breaks every connection; new ones are relayed. */
  readonly breakAll: () => void;
  readonly close: () => Promise<void>;
}

/**
 * The proxy delays answers, so that everything the client sends without waiting for an answer arrives first. That makes the
 * count exact: a statement belongs to the current trip unless an answer was relayed before it.
 */
const ANSWER_DELAY_MS = 4;

/** @param options.answerDelayMs longer for a client that may pause in the middle of a trip */
export async function startTcpProxy(
  target: Target,
  { answerDelayMs = ANSWER_DELAY_MS }: { answerDelayMs?: number } = {},
): Promise<TcpProxy> {
  const conversations: { trips: string[] }[] = [];
  let isSilent = false;
  let ambush: { asked: RegExp; answer: RegExp | undefined } | undefined;
  const relay = new Relay(target, (client, upstream) => {
    const trips: string[] = [];
    conversations.push({ trips });
    let isAnswered = true;
    let fatal: RegExp | undefined;
    /** What was sent since `breakAt`, and answered since it matched: either may arrive in several chunks. */
    const sinceBreakAt = { asked: '', answered: '' };
    endTogether(client, upstream);
    client.on('data', (chunk) => {
      if (isSilent) return;
      if (isAnswered) trips.push('');
      isAnswered = false;
      const text = chunk.toString('latin1');
      trips[trips.length - 1] += text;
      if (ambush !== undefined) sinceBreakAt.asked += text;
      if (ambush?.asked.test(sinceBreakAt.asked)) {
        fatal = ambush.answer;
        ambush = undefined;
        if (fatal === undefined) return void client.destroy();
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (isSilent) return;
      if (fatal !== undefined) {
        sinceBreakAt.answered += chunk.toString('latin1');
        if (fatal.test(sinceBreakAt.answered)) client.destroy();
        return;
      }
      // When this process is late itself, it first reads what the client has sent meanwhile.
      const goOn = () => {
        isAnswered = true;
        client.write(chunk);
      };
      setTimeout(() => setImmediate(goOn), answerDelayMs);
    });
  });
  await relay.listen();
  return {
    port: relay.port,
    conversations,
    fallSilent: () => {
      isSilent = true;
    },
    breakAt: (asked, answer) => {
      ambush = { asked, answer };
    },
    breakAll: () => relay.breakAll(),
    close: () => relay.close(),
  };
}
