import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** The round trips of one connection: the first bytes that the client sends after an answer begin a new one. */
export interface Conversation {
  /** The bytes that the client sent in each round trip, as text. */
  readonly trips: string[];
}

/** A TCP proxy that counts round trips and can stop relaying. */
export interface TcpProxy {
  readonly port: number;
  readonly conversations: readonly Conversation[];
  /** Holds every byte in both directions from now on; no connection breaks. */
  readonly fallSilent: () => void;
  /**
   * Breaks the first connection whose client sends matching text: before it is relayed or, with `answer`, when the matching
   * answer arrives, which is not relayed.
   */
  readonly breakAt: (asked: RegExp, answer?: RegExp) => void;
  /** Delays each answer by this time from now on. */
  readonly slowDown: (delayMs: number) => void;
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
  target: { host: string; port: number },
  { answerDelayMs = ANSWER_DELAY_MS }: { answerDelayMs?: number } = {},
): Promise<TcpProxy> {
  const conversations: Conversation[] = [];
  const sockets = new Set<Socket>();
  let isSilent = false;
  let delayMs = answerDelayMs;
  let ambush: { asked: RegExp; answer: RegExp | undefined } | undefined;
  const server = createServer((client) => {
    const conversation: Conversation = { trips: [] };
    conversations.push(conversation);
    let isAnswered = true;
    let fatal: RegExp | undefined;
    /** What was sent since `breakAt`, and answered since it matched: either may arrive in several chunks. */
    const sinceBreakAt = { asked: '', answered: '' };
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
      if (ambush !== undefined) sinceBreakAt.asked += text;
      if (ambush?.asked.test(sinceBreakAt.asked)) {
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
        sinceBreakAt.answered += chunk.toString('latin1');
        if (fatal.test(sinceBreakAt.answered)) client.destroy();
        return;
      }
      // When this process is late itself, it first reads what the client has sent meanwhile.
      const goOn = () => {
        isAnswered = true;
        client.write(chunk);
      };
      setTimeout(() => setImmediate(goOn), delayMs);
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
    slowDown: (ms) => {
      delayMs = ms;
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
