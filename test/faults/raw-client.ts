import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { BASE_PATH } from '../../src/api/limits.js';
import type { Api } from '../harness/api.js';

export interface RawAnswer {
  readonly status: number;
  readonly body: { error_code?: number; error_message?: string; [field: string]: unknown };
}

/** A connection on which the test decides which bytes go out when, and how it ends. */
export class RawClient {
  readonly #socket: Socket;
  #received = '';
  readonly #ended: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1');
    });
    // Some tests wait for the server to cut the connection.
    socket.on('error', () => {});
    this.#ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  }

  static async open(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** All bytes received so far. */
  get received(): string {
    return this.#received;
  }

  get isClosed(): boolean {
    return this.#socket.closed;
  }

  /** Returns once the kernel has accepted the bytes; false where the connection is closed. */
  async send(...pieces: (string | Uint8Array)[]): Promise<boolean> {
    for (const piece of pieces) {
      const isTaken = await new Promise<boolean>((resolve) => this.#socket.write(piece, (error) => resolve(!error)));
      if (!isTaken) return false;
    }
    return true;
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes the sending side only. */
  finish(): void {
    this.#socket.end();
  }

  async hangUp(): Promise<void> {
    this.#socket.destroy();
    await this.#ended;
  }

  /** Closes with a reset, as a process that was killed with unread bytes does. */
  async reset(): Promise<void> {
    this.#socket.resetAndDestroy();
    await this.#ended;
  }

  /** Returns once the server has closed the connection. */
  async closed(): Promise<void> {
    await this.#ended;
  }

  /** The final answer, or `undefined` until it has arrived. */
  answer(): RawAnswer | undefined {
    const final = this.#received.replace(/^(HTTP\/1\.1 1\d\d .*?\r\n\r\n)+/s, '');
    const [, status, headers = '', rest = ''] = /^HTTP\/1\.1 (\d+) .*?\r\n(.*?)\r\n\r\n(.*)$/s.exec(final) ?? [];
    const length = Number(/^content-length: (\d+)/im.exec(headers)?.[1] ?? 0);
    if (status === undefined || rest.length < length) return undefined;
    return { status: Number(status), body: JSON.parse(Buffer.from(rest.slice(0, length), 'latin1').toString()) };
  }
}

const BOUNDARY = 'between-the-parts';

/** A form with one file: the bytes before and after the file's. */
export function formOf(filename: string, { field = 'file' } = {}): { head: string; tail: string } {
  const disposition = `form-data; name="${field}"; filename="${filename}"`;
  return {
    head: `--${BOUNDARY}\r\nContent-Disposition: ${disposition}\r\nContent-Type: application/octet-stream\r\n\r\n`,
    tail: `\r\n--${BOUNDARY}--\r\n`,
  };
}

/** The head of a direct upload's request. */
export function directHead(api: Api, id: string, headers: Record<string, string | number>): string {
  return headOf('POST', new URL(`${api.url}${BASE_PATH}/${id}/upload`), { ...directHeaders(api), ...headers });
}

/** The headers of a direct upload. */
export function directHeaders(api: Api): Record<string, string> {
  return { Authorization: `Bearer ${api.token}`, 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };
}

/** The head of any request. */
export function headOf(method: string, url: URL, headers: Record<string, string | number>): string {
  const lines = Object.entries({ Host: url.host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** A whole direct upload as bytes, for tests that cut it somewhere. */
export function directBytes(api: Api, id: string, filename: string, content: Uint8Array): Buffer {
  const { head, tail } = formOf(filename);
  const body = Buffer.concat([Buffer.from(head), content, Buffer.from(tail)]);
  return Buffer.concat([Buffer.from(directHead(api, id, { 'Content-Length': body.length })), body]);
}

/** A whole PUT as bytes. */
export function putBytes(url: string, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(headOf('PUT', new URL(url), { 'Content-Length': content.length })), content]);
}
