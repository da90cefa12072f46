import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly body: Buffer;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A kept-alive HTTP/1.1 connection for one request at a time. It does as little as possible, because client and server share
 * the cores. Answers must have a Content-Length.
 */
export class Connection {
  readonly #socket: Socket;
  #waiting: Waiting | undefined;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  /** Set once the head of the answer has arrived. */
  #expected: { status: number; bodyAt: number; bytes: number } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    const fail = (error: Error) => this.#waiting?.reject(error);
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the server closed the connection before it answered')));
  }

  static async open(url: string): Promise<Connection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new Connection(socket);
  }

  /** Sends a complete request with its head, and returns the answer. */
  request(...parts: readonly (Buffer | string)[]): Promise<Reply> {
    const answered = this.answered();
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
    return answered;
  }

  /** Sends a part of a request; resolves when the buffer may be reused. */
  write(part: Buffer | string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(part, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Waits for the next answer. Call it before the end of the request is written. */
  answered(): Promise<Reply> {
    this.#received = [];
    this.#receivedBytes = 0;
    this.#expected = undefined;
    return new Promise<Reply>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    if (this.#expected === undefined) {
      const head = Buffer.concat(this.#received);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.#expected = expectedOf(head.toString('latin1', 0, end), end + 4);
    }
    const { status, bodyAt, bytes } = this.#expected;
    if (this.#receivedBytes < bodyAt + bytes) return;
    const body = Buffer.concat(this.#received).subarray(bodyAt);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status, body });
  }
}

function expectedOf(head: string, bodyAt: number): { status: number; bodyAt: number; bytes: number } {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined && status !== 204) throw new Error(`an answer without Content-Length: ${head}`);
  return { status, bodyAt, bytes: Number(length ?? 0) };
}

/** @throws Error with the body of an answer that is not 2xx */
export function mustSucceed({ status, body }: Reply): Buffer {
  if (status < 200 || status > 299) throw new Error(`the server answered ${status}: ${body.toString().slice(0, 500)}`);
  return body;
}
