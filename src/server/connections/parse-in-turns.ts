import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { onceClosed } from '../bodies.js';
import type { App } from '../context.js';

/** Lines that are parsed at once. A request has at least two. */
const MAX_LINES = 8;

/**
 * Requests of one connection in progress from which on no further one is parsed. A client that pipelines sends the next one
 * before it has the answer.
 */
const MAX_PIPELINED = 4;

/** How long a connection is parsed before others have their turn. */
const TURN_MS = 1;

/** Connections that continue before new bytes are read from all. */
const TURNS_AT_ONCE = 5;

const LINE_FEED = 0x0a;

/**
 * Parses what a connection sends in pieces of few lines, for a millisecond at a time, and no further while several of its
 * requests are in progress. Node parses at once all that it has read, up to 64 KiB: 2000 requests, or 10,000 chunks of a body.
 */
export function parseInTurns({ server }: App): void {
  const parsers = new WeakMap<Socket, TurnParser>();
  const waiting: TurnParser[] = [];
  const continueSome = () => {
    for (const parser of waiting.splice(0, TURNS_AT_ONCE)) parser.continue();
    if (waiting.length > 0) setImmediate(continueSome);
  };
  const waitForTurn = (parser: TurnParser) => {
    if (waiting.push(parser) === 1) setImmediate(continueSome);
  };
  server.on('connection', (socket: Socket) => parsers.set(socket, new TurnParser(socket, waitForTurn)));
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    parsers.get(request.socket)?.begin(request, response);
  });
}

class TurnParser {
  readonly #socket: Socket;
  readonly #waitForTurn: (parser: TurnParser) => void;
  /** Node's own listener, which parses. While it is the only one, Node parses what it reads before any listener. */
  readonly #parse: (bytes: Buffer) => void;
  #latest: IncomingMessage | undefined;
  readonly #inProgress = new Set<ServerResponse>();
  /** Bytes that certainly belong to the body of the latest request, so that no other begins in them. */
  #bodyBytes = 0;
  #waitsFor: 'turn' | 'answer' | undefined;

  constructor(socket: Socket, waitForTurn: (parser: TurnParser) => void) {
    this.#socket = socket;
    this.#waitForTurn = waitForTurn;
    const [parse] = socket.listeners('data');
    if (parse === undefined) throw new Error('Node has no parser for this connection.');
    this.#parse = parse.bind(socket) as (bytes: Buffer) => void;
    socket.removeAllListeners('data').on('data', this.#parsePieces);
    // Of a connection that breaks, Node closes the first response alone (`socketOnClose` in its `lib/_http_server.js`).
    socket.once('close', () => {
      for (const response of this.#inProgress) response.destroy().emit('close');
    });
  }

  begin(request: IncomingMessage, response: ServerResponse): void {
    this.#latest = request;
    this.#inProgress.add(response);
    this.#bodyBytes = Number(request.headers['content-length'] ?? 0);
    onceClosed(response, () => {
      this.#inProgress.delete(response);
      if (this.#waitsFor !== 'answer' || this.#hasMany) return;
      this.#waitsFor = 'turn';
      this.#waitForTurn(this);
    });
  }

  continue(): void {
    this.#waitsFor = undefined;
    this.#socket.resume();
  }

  readonly #parsePieces = (bytes: Buffer): void => {
    const socket = this.#socket;
    const endMs = performance.now() + TURN_MS;
    let rest = bytes;
    // Node pauses the connection where a body, or the answers, are not read. While it does so for the answers, nothing may be parsed.
    while (rest.length > 0 && this.#waitsFor === undefined && !socket.isPaused() && !waitsForReader(socket)) {
      const end = this.#bodyBytes > 0 ? this.#bodyBytes : endOfLines(rest, this.#hasMany ? 1 : MAX_LINES);
      const piece = rest.subarray(0, end);
      rest = rest.subarray(end);
      this.#parse(piece);
      this.#bodyBytes = Math.max(0, this.#bodyBytes - piece.length);
      // An error has ended the parsing.
      if (!socket.listeners('data').includes(this.#parsePieces)) return;
      if (this.#hasMany && this.#latest?.complete) {
        this.#waitsFor = 'answer';
      } else if (performance.now() > endMs) {
        this.#waitsFor = 'turn';
        this.#waitForTurn(this);
      }
    }
    if (rest.length === 0) return;
    // What reads a body has resumed the connection, although it waits.
    socket.pause();
    socket.unshift(rest);
  };

  get #hasMany(): boolean {
    return this.#inProgress.size >= MAX_PIPELINED;
  }
}

/**
 * Whether the answers that the client has not read fill the buffer of the connection. Node resumes it then once they don't. If it
 * parses before, it ends the process (`socketOnData` in its `lib/_http_server.js`), and only this property tells.
 */
function waitsForReader(socket: Socket & { _paused?: boolean }): boolean {
  return socket._paused === true;
}

/** The index behind the last of the first lines of `bytes`. */
function endOfLines(bytes: Buffer, count: number): number {
  let end = 0;
  for (let lines = 0; lines < count; lines++) {
    const index = bytes.indexOf(LINE_FEED, end);
    if (index < 0) return bytes.length;
    end = index + 1;
  }
  return end;
}
