import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { App } from '../context.js';

/** A request has at least two lines, so no more than half as many requests begin in one piece. */
const MAX_LINES = 8;

/**
 * Requests of one connection in progress from which on no more is parsed. A client that pipelines sends the next one before it
 * has the answer.
 */
const MAX_PIPELINED = 4;

const LINE_FEED = 0x0a;

/**
 * Parses what a connection sends in pieces of few lines, and no further while several of its requests are in progress. Node
 * parses all that it has read at once, which can be 64 KiB, or 2000 requests; each is handled before another connection has its
 * turn.
 */
export function parseInTurns({ server }: App): void {
  const parsers = new WeakMap<Socket, TurnParser>();
  server.on('connection', (socket: Socket) => parsers.set(socket, new TurnParser(socket)));
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    parsers.get(request.socket)?.begin(request, response);
  });
}

class TurnParser {
  readonly #socket: Socket;
  /** Node's own listener for data, which parses them. Beside another listener, Node does not parse what it reads before that. */
  readonly #parse: (bytes: Buffer) => void;
  #inProgress = 0;
  /** Bytes that certainly belong to the body of the latest request, so that no other begins in them. */
  #bodyBytes = 0;
  #isWaiting = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const [parse] = socket.listeners('data');
    if (parse === undefined) throw new Error('Node has no parser for this connection.');
    this.#parse = parse.bind(socket) as (bytes: Buffer) => void;
    socket.removeAllListeners('data').on('data', this.#parsePieces);
  }

  begin({ headers }: IncomingMessage, response: ServerResponse): void {
    this.#inProgress++;
    this.#bodyBytes = Number(headers['content-length'] ?? 0);
    response.once('close', () => {
      this.#inProgress--;
      if (!this.#isWaiting || this.#inProgress >= MAX_PIPELINED) return;
      this.#isWaiting = false;
      setImmediate(() => this.#socket.resume());
    });
  }

  readonly #parsePieces = (bytes: Buffer): void => {
    const socket = this.#socket;
    for (let start = 0; start < bytes.length; ) {
      const isBody = this.#bodyBytes > 0;
      const end = isBody ? Math.min(start + this.#bodyBytes, bytes.length) : endOfLines(bytes, start);
      this.#parse(bytes.subarray(start, end));
      this.#bodyBytes = Math.max(0, this.#bodyBytes - (end - start));
      start = end;
      // An error has ended the parsing.
      if (!socket.listeners('data').includes(this.#parsePieces)) return;
      this.#isWaiting = !socket.isPaused() && this.#inProgress >= MAX_PIPELINED;
      if (this.#isWaiting) socket.pause();
      // Node pauses and resumes the connection of a client that does not read its answers.
      if (socket.isPaused()) {
        socket.unshift(bytes.subarray(start));
        return;
      }
    }
  };
}

/** The index behind the line with which a piece of `bytes` from `start` on ends. */
function endOfLines(bytes: Buffer, start: number): number {
  let end = start;
  for (let lines = 0; lines < MAX_LINES; lines++) {
    const index = bytes.indexOf(LINE_FEED, end);
    if (index < 0) return bytes.length;
    end = index + 1;
  }
  return end;
}
