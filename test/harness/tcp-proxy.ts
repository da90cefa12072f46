import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What one connection has asked for: each time the client sends after it has been answered begins a new round trip. */
export interface Conversation {
  /** All that the client sent in each round trip, as text. */
  readonly trips: string[];
}

/** A TCP proxy that sees how often somebody waits for an answer, and that can fall silent. */
export interface TcpProxy {
  readonly port: number;
  readonly conversations: readonly Conversation[];
  /** From now on nothing passes in either direction, and no connection breaks. */
  readonly fallSilent: () => void;
  /**
   * The connection breaks on which such a thing is asked: before it has gone on or, where an answer is given, when that has
   * come, of which nothing goes on. Happens once.
   */
  readonly breakAt: (asked: RegExp, answer?: RegExp) => void;
  /** Breaks every connection; new ones pass. */
  readonly breakAll: () => void;
  readonly close: () => Promise<void>;
}

/**
 * An answer waits a moment before it goes on to the client, so that whatever the client sends without waiting for it comes
 * first. That makes the count exact: a statement belongs to the trip before it unless an answer had been seen.
 */
const ANSWER_DELAY_MS = 4;

/** @param options.answerDelayMs longer where the client has so much else to do that it may pause in the middle of a trip */
export async function startTcpProxy(
  target: { host: string; port: number },
  { answerDelayMs = ANSWER_DELAY_MS }: { answerDelayMs?: number } = {},
): Promise<TcpProxy> {
  const conversations: Conversation[] = [];
  const sockets = new Set<Socket>();
  let isSilent = false;
  let ambush: { asked: RegExp; answer: RegExp | undefined } | undefined;
  const server = createServer((client) => {
    const conversation: Conversation = { trips: [] };
    conversations.push(conversation);
    let isAnswered = true;
    let fatal: RegExp | undefined;
    const upstream = connect(target);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (isSilent) return;
      if (isAnswered) conversation.trips.push('');
      isAnswered = false;
      const text = chunk.toString('latin1');
      conversation.trips[conversation.trips.length - 1] += text;
      if (ambush?.asked.test(text)) {
        fatal = ambush.answer;
        ambush = undefined;
        if (fatal === undefined) {
          client.destroy();
          return;
        }
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (isSilent) return;
      if (fatal !== undefined) {
        if (fatal.test(chunk.toString('latin1'))) client.destroy();
        return;
      }
      // Where this process was late itself, what the client has sent by now is read before.
      const goOn = () => {
        isAnswered = true;
        client.write(chunk);
      };
      setTimeout(() => setImmediate(goOn), answerDelayMs);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    conversations,
    fallSilent: () => {
      isSilent = true;
    },
    breakAt: (asked, answer) => {
      ambush = { asked, answer };
    },
    breakAll,
    close: async () => {
      breakAll();
      server.close();
      await once(server, 'close');
    },
  };
}
