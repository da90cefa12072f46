import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import type { WireDatasetWithFiles } from '../../src/api/schemas.js';

/** A request that the proxy saw. */
export interface Seen {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Without it. */
  readonly pathname: string;
  /** Count of requests with this method and `pathname`, this one included. */
  readonly time: number;
  /** Bytes of the body received so far. */
  bytes: number;
  /** Status of the answer; `undefined` without an answer so far. */
  status: number | undefined;
}

interface AlteredAnswer {
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

/** A fault that the proxy injects instead of forwarding a request. */
export type Fault =
  /** Breaks the connection after this many bytes of the body. */
  | { readonly resetAfterBytes: number }
  /** Forwards the request, and breaks the connection before the answer. */
  | 'lose-answer'
  /** Forwards the request, and breaks the connection in the middle of the answer. */
  | 'cut-answer'
  /** Forwards less than this many bytes, and holds the rest until `release` is called or the client disconnects. */
  | { readonly holdAfterBytes: number }
  /** Forwards the request, and changes the answer. */
  | { readonly alter: (answer: AlteredAnswer) => AlteredAnswer }
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

/** Chooses the fault for a request; `undefined` forwards it. */
export type Rule = (seen: Seen) => Fault | undefined | Promise<Fault | undefined>;

export interface BreakingProxy {
  readonly url: string;
  readonly seen: readonly Seen[];
  /** Requests with this method whose path contains the text. */
  readonly requests: (method: string, part: string) => readonly Seen[];
  /** Replaces the rule; without one, every request is forwarded. */
  readonly rule: (rule?: Rule) => void;
  /** Forwards held bytes, and all further ones of the requests seen so far. */
  readonly release: () => void;
  /** Breaks every connection, and refuses new ones until `comeBack`. */
  readonly goAway: () => Promise<void>;
  readonly comeBack: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * An HTTP proxy in front of the real server that injects faults. Links that the service signs lead through it too.
 *
 * @param options.isContractOnly removes everything from answers that is not in the contract
 */
export async function startProxy(target: string, options: { isContractOnly?: boolean } = {}): Promise<BreakingProxy> {
  const seen: Seen[] = [];
  const held = new Set<() => void>();
  let releases = 0;
  let rule: Rule | undefined;
  const listener: Listener = async (request, response) => {
    const { method = '', url = '' } = request;
    const isSame = (other: Seen) => other.method === method && bare(other.path) === bare(url);
    const time = seen.filter(isSame).length + 1;
    const entry: Seen = { method, path: url, pathname: bare(url), time, bytes: 0, status: undefined };
    seen.push(entry);
    // A test knows a request once it is seen. The bytes to hold may arrive only after the test has released it.
    const releasesBefore = releases;
    request.on('error', () => {});
    response.on('error', () => {});
    if (options.isContractOnly && isExtension(method, url)) return answer(response, entry, NOT_FOUND);
    const fault = await rule?.(entry);
    if (typeof fault === 'object' && 'status' in fault) {
      request.resume();
      return answer(response, entry, fault);
    }
    const { host, port } = new URL(target);
    const path = options.isContractOnly ? bareStatus(url) : url;
    const outgoing = forward({ host: host.split(':')[0], port, method, path, headers: request.headers, agent: false });
    outgoing.on('error', () => request.socket.destroy());
    response.once('close', () => {
      if (!response.writableEnded) outgoing.destroy();
    });
    outgoing.once('response', (incoming) => {
      pass(incoming, { request, response, entry, fault }).catch(() => request.socket.destroy());
    });
    const watching = new Transform({
      transform(chunk: Buffer, _, done) {
        entry.bytes += chunk.length;
        if (typeof fault === 'object' && 'resetAfterBytes' in fault && entry.bytes >= fault.resetAfterBytes) {
          request.socket.resetAndDestroy();
          return done();
        }
        const holds = typeof fault === 'object' && 'holdAfterBytes' in fault && entry.bytes >= fault.holdAfterBytes;
        if (!holds || releases > releasesBefore) return done(null, chunk);
        const release = () => {
          held.delete(release);
          done(null, chunk);
        };
        held.add(release);
        request.socket.once('close', () => held.delete(release));
      },
    });
    request.pipe(watching).pipe(outgoing);
  };
  const pass = async (
    incoming: IncomingMessage,
    context: { request: IncomingMessage; response: ServerResponse; entry: Seen; fault: Fault | undefined },
  ) => {
    const { request, response, entry, fault } = context;
    const body = Buffer.concat(await incoming.toArray());
    if (fault === 'lose-answer') return void request.socket.resetAndDestroy();
    const { 'transfer-encoding': _, ...headers } = incoming.headers;
    entry.status = incoming.statusCode;
    const whole = { headers, body: options.isContractOnly ? contractOnly(body) : body };
    const altered = typeof fault === 'object' && 'alter' in fault ? fault.alter(whole) : whole;
    const sent = altered.body;
    // The answer to a HEAD has no body, but the length of the one to a GET.
    const length = request.method === 'HEAD' ? {} : { 'content-length': sent.length };
    response.writeHead(incoming.statusCode ?? 502, { ...altered.headers, ...length });
    if (fault !== 'cut-answer') return void response.end(sent);
    // Not with a reset, which would discard bytes that have arrived and are not read yet.
    response.write(sent.subarray(0, sent.length >> 1), () => request.socket.destroy());
  };
  let server = await listening(listener, 0);
  const { port } = server.address() as AddressInfo;
  const goAway = async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    requests: (method, part) => seen.filter((entry) => entry.method === method && entry.path.includes(part)),
    rule: (next) => {
      rule = next;
    },
    release: () => {
      releases++;
      for (const release of held) release();
    },
    goAway,
    comeBack: async () => {
      server = await listening(listener, port);
    },
    close: async () => {
      if (server.listening) await goAway();
    },
  };
}

type Listener = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

async function listening(listener: Listener, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    listener(request, response).catch(() => request.socket.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const NOT_FOUND = {
  status: 404,
  body: JSON.stringify({ error_code: 404003, error_message: 'There is no such route.' }),
};

function answer(response: ServerResponse, entry: Seen, fault: Extract<Fault, { status: number }>): void {
  const { status, body = '', headers } = fault;
  entry.status = status;
  const length = { 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, { 'content-type': 'application/json', ...length, ...headers }).end(body);
}

function bare(path: string): string {
  return path.split('?')[0] ?? '';
}

function bareStatus(path: string): string {
  return /\/(status|datasets)\?/.test(path) ? bare(path) : path;
}

/** Routes that are not in the contract. */
function isExtension(method: string, path: string): boolean {
  return (
    /datasets(\/[^/]+)?\/(manifest|events|download-link|captions|files|uploads|archive|zip)\b/.test(path) ||
    (method === 'PUT' && path.endsWith('/links'))
  );
}

/** Removes the fields that are not in the contract. */
function contractOnly(body: Buffer): Buffer {
  try {
    return Buffer.from(JSON.stringify(stripped(JSON.parse(body.toString()))));
  } catch {
    return body;
  }
}

function stripped(answer: Partial<WireDatasetWithFiles> & { datasets?: WireDatasetWithFiles[] }): unknown {
  if (answer.datasets !== undefined) return { datasets: answer.datasets.map(stripped) };
  const { counts: _, warnings: __, digest: ___, size_bytes: ____, ...rest } = answer;
  if (rest.files === undefined) return rest;
  return { ...rest, files: rest.files.map(({ filename, size_bytes }) => ({ filename, size_bytes })) };
}
