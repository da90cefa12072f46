import { request as send } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { BASE_PATH } from '../../src/api/limits.js';

/** One try of a request at one server. */
export interface Try {
  readonly to: 'instance' | 'store';
  readonly method: string;
  readonly path: string;
  /** The status of the answer, or the error code of the connection. */
  readonly outcome: number | string;
  readonly retryAfter: string | undefined;
  readonly milliseconds: number;
  readonly body: string;
}

export interface Response {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: Buffer;
}

/** A request that takes longer hangs. */
const HANG_MS = 60_000;

/** Corresponds to `fail_timeout` of nginx, shortened. */
const SHUNNED_MS = 1000;

/** How the connection failed, by the name of the operating system, or `HANG`. */
class ConnectionFailed extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`the connection failed: ${code}`);
    this.code = code;
  }
}

/**
 * A load balancer with a retrying client in front of it, and a log of every try. Requests go to the instances in turn; when
 * one answers 503 or refuses the connection, the next is tried, and the first is avoided for a moment. The client retries a
 * request that still fails after the time that the service names, for `patienceMs` in all.
 */
export class Balancer {
  readonly tries: Try[] = [];
  /** The URLs of the instances. */
  readonly instances: string[];
  readonly #token: string;
  readonly #shunnedUntil = new Map<string, number>();
  readonly #patienceMs: number;
  #turn = 0;

  constructor(instances: readonly string[], options: { token: string; patienceMs: number }) {
    this.instances = [...instances];
    this.#token = options.token;
    this.#patienceMs = options.patienceMs;
  }

  /** One request of the API, retried while the answer is 429 or 503. `path` is relative to the base path. */
  request(method: string, path: string, init: { body?: FormData | object | undefined } = {}): Promise<Response> {
    return this.#patiently(() => this.passOn(method, path, init));
  }

  /** A PUT to a presigned link, retried in the same way. */
  put(url: string, body: Buffer): Promise<Response> {
    return this.#patiently(() => this.#try('store', 'PUT', new URL(url), { body, headers: {} }));
  }

  /** Balances one try of a request. @throws ConnectionFailed */
  async passOn(method: string, path: string, init: { body?: FormData | object | undefined } = {}): Promise<Response> {
    const { body, headers } = await encoded(init.body);
    const all = { body, headers: { ...headers, authorization: `Bearer ${this.#token}` } };
    const order = this.#order();
    for (const [i, instance] of order.entries()) {
      const isLast = i === order.length - 1;
      const answer = this.#try('instance', method, new URL(`${instance}${BASE_PATH}${path}`), all);
      const found = await answer.catch((error) => {
        if (!isLast && error instanceof ConnectionFailed && error.code === 'ECONNREFUSED') return undefined;
        throw error;
      });
      if (found !== undefined && (found.status !== 503 || isLast)) return found;
      this.#shunnedUntil.set(instance, performance.now() + SHUNNED_MS);
    }
    throw new Error('there are no instances');
  }

  /** Instances that failed recently come last. */
  #order(): string[] {
    const first = this.#turn++ % this.instances.length;
    const around = [...this.instances.slice(first), ...this.instances.slice(0, first)];
    const isShunned = (instance: string) => (this.#shunnedUntil.get(instance) ?? 0) > performance.now();
    return around.toSorted((a, b) => Number(isShunned(a)) - Number(isShunned(b)));
  }

  async #patiently(work: () => Promise<Response>): Promise<Response> {
    const deadline = performance.now() + this.#patienceMs;
    for (;;) {
      let [last, pauseMs]: [Response | Error, number] = [new Error('nothing was tried'), 250];
      try {
        last = await work();
        if (last.status !== 503 && last.status !== 429) return last;
        if (last.retryAfter !== undefined) pauseMs = Number(last.retryAfter) * 1000;
      } catch (error) {
        if (!(error instanceof ConnectionFailed)) throw error;
        last = error;
      }
      if (performance.now() > deadline) {
        if (last instanceof Error) throw last;
        return last;
      }
      await wait(pauseMs);
    }
  }

  async #try(to: Try['to'], method: string, url: URL, sent: Encoded): Promise<Response> {
    const since = performance.now();
    const note = (outcome: number | string, answer?: Response) => {
      const milliseconds = Math.round(performance.now() - since);
      const text = answer !== undefined && answer.status >= 400 ? answer.body.toString().slice(0, 500) : '';
      const tried = { to, method, path: url.pathname, outcome, retryAfter: answer?.retryAfter };
      this.tries.push({ ...tried, milliseconds, body: text });
    };
    try {
      const answer = await exchange(method, url, sent);
      note(answer.status, answer);
      return answer;
    } catch (error) {
      const { code = String(error) } = error as NodeJS.ErrnoException;
      note(code);
      throw new ConnectionFailed(code);
    }
  }
}

/** One connection for each request: the server may just be closing one that is kept alive. */
function exchange(method: string, url: URL, { body, headers }: Encoded): Promise<Response> {
  return new Promise((resolve, reject) => {
    const length = { 'content-length': String(body?.length ?? 0) };
    const signal = AbortSignal.timeout(HANG_MS);
    const outgoing = send(url, { method, agent: false, headers: { ...headers, ...length }, signal }, (incoming) => {
      const { statusCode: status = 0, headers: received } = incoming;
      const answered = (answer: Buffer) => resolve({ status, retryAfter: received['retry-after'], body: answer });
      buffer(incoming).then(answered, reject);
    });
    outgoing.on('error', (error) => {
      reject(signal.aborted ? Object.assign(new Error('no answer', { cause: error }), { code: 'HANG' }) : error);
    });
    outgoing.end(body);
  });
}

interface Encoded {
  readonly body: Buffer | undefined;
  readonly headers: Record<string, string>;
}

async function encoded(body: FormData | object | undefined): Promise<Encoded> {
  if (body === undefined) return { body: undefined, headers: {} };
  if (!(body instanceof FormData)) {
    return { body: Buffer.from(JSON.stringify(body)), headers: { 'content-type': 'application/json' } };
  }
  const response = new globalThis.Response(body);
  const type = response.headers.get('content-type') ?? '';
  return { body: Buffer.from(await response.arrayBuffer()), headers: { 'content-type': type } };
}
