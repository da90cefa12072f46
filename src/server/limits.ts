import type { ServerResponse } from 'node:http';
import { isIPv6, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../dataset/errors.js';
import { openFileLimit } from '../open-file-limit.js';
import { Quota, RateLimiter } from '../storage/limits.js';
import { onceClosed } from './bodies.js';

/** Fewer if the system allows fewer open files (`ulimit -n`). */
const MAX_CONNECTIONS = 10_000;

/** Their requests are answered with 503. Node closes further ones at once. */
const MAX_REJECTED = 100;

/** For the 256 folders of the store, the catalog, and pipes to inspection processes. */
const OTHER_FILES = 320;

/** Monitoring must not take a busy server for a dead one. */
const ALWAYS_ANSWERED = new Set(['/healthz', '/readyz', '/metrics']);

/** Replaces what was counted of the response's unread bytes. */
export type HoldUnsent = (response: ServerResponse, unsent: { accountId: string; bytes: number }) => void;

/** For a server that does not listen yet. */
export function limitConnections(app: FastifyInstance): { max: number; open: () => number } {
  const max = Math.min(MAX_CONNECTIONS, Math.max(1, openFileLimit() - OTHER_FILES));
  const rejected = new WeakSet<Socket>();
  let open = 0;
  app.server.maxConnections = max + MAX_REJECTED;
  app.server.on('connection', (socket: Socket) => {
    open++;
    socket.once('close', () => open--);
    if (open > max) rejected.add(socket);
  });
  app.addHook('onRequest', async ({ raw, routeOptions }) => {
    if (!rejected.has(raw.socket) || ALWAYS_ANSWERED.has(routeOptions.url ?? '')) return;
    const message = `The server has ${max} connections, its limit. Try again soon.`;
    throw new ServiceError('overloaded', message, { retryAfterSeconds: 1 });
  });
  app.addHook('onSend', async ({ raw }, reply) => {
    if (rejected.has(raw.socket)) reply.header('connection', 'close');
  });
  return { max, open: () => open };
}

/** Clients send many requests at once and then none. */
const BURST_SECONDS = 10;

const MAX_POLL_DELAY_MS = 5000;

/** An account has many clients, which poll once a second or less. */
const MIN_POLLS_PER_SECOND = 50;

/** Polls of a status have their own rate, and are delayed instead of rejected. */
export class RequestRate {
  readonly #perSecond: number;
  readonly #requests: RateLimiter;
  readonly #polls: RateLimiter;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#requests = new RateLimiter({ perSecond, burst: perSecond * BURST_SECONDS });
    const pollsPerSecond = Math.max(perSecond, MIN_POLLS_PER_SECOND);
    this.#polls = new RateLimiter({ perSecond: pollsPerSecond, burst: pollsPerSecond * BURST_SECONDS });
  }

  /** @throws ServiceError `too_many_requests` */
  async admit(accountId: string, { isPoll }: { isPoll: boolean }): Promise<void> {
    if (isPoll) {
      const delayMs = this.#polls.queue(accountId, MAX_POLL_DELAY_MS);
      if (delayMs > 0) await wait(delayMs);
      return;
    }
    const delayMs = this.#requests.take(accountId);
    if (delayMs === 0) return;
    const retryAfterSeconds = Math.ceil(delayMs / 1000);
    const message = `The account sends more than ${this.#perSecond} requests a second. Try again in ${retryAfterSeconds} s.`;
    throw new ServiceError('too_many_requests', message, { retryAfterSeconds });
  }
}

/** For wrong tokens and codes from one address, without a delay. */
const FAILURE_RATE = { perSecond: 10, burst: 50 };
const MAX_DELAY_MS = 2000;

/** Each holds a connection. */
const MAX_DELAYED = 200;

/** Limits wrong tokens and all codes by address. Valid tokens are never slowed, since clients behind a proxy share an address. */
export class FailedLogins {
  readonly #failures = new RateLimiter(FAILURE_RATE);
  readonly #codes = new RateLimiter(FAILURE_RATE);
  #delayed = 0;

  /** @throws ServiceError `too_many_requests` */
  admitCode(address: string): void {
    const delayMs = this.#codes.take(networkOf(address));
    if (delayMs === 0) return;
    const message = 'Too many codes that sign in come from this address. Try again, or sign in with a token.';
    throw new ServiceError('too_many_requests', message, { retryAfterSeconds: Math.ceil(delayMs / 1000) });
  }

  /** Waits before a wrong token is answered. @throws ServiceError `too_many_requests` */
  async delay(address: string): Promise<void> {
    const delayMs = this.#failures.queue(networkOf(address), MAX_DELAY_MS);
    if (delayMs === 0) return;
    if (this.#delayed >= MAX_DELAYED) {
      const message = 'Too many requests have a wrong token. Check the token, then try again.';
      throw new ServiceError('too_many_requests', message, { retryAfterSeconds: MAX_DELAY_MS / 1000 });
    }
    this.#delayed++;
    await wait(delayMs).finally(() => this.#delayed--);
  }
}

/** One host usually has all IPv6 addresses with the same first 64 bits. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const tailGroups = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - groups.length - tailGroups.length)).fill('0');
  return [...groups, ...zeros, ...tailGroups].slice(0, 4).join(':');
}

/** The kernel takes smaller answers. */
const LARGE_BYTES = 64 * 1024;

/** An answer about ten thousand files has some megabytes. */
const MAX_BYTES_OF_ACCOUNT = 128 * 1024 * 1024;
const MAX_BYTES = 256 * 1024 * 1024;

/** Limits the memory of answers that wait for their clients. `hold` throws as a Quota does. */
export function limitUnsentAnswers(app: FastifyInstance): { quota: Quota; hold: HoldUnsent } {
  const quota = new Quota({
    ofAccount: MAX_BYTES_OF_ACCOUNT,
    ofAll: MAX_BYTES,
    what: 'bytes of answers that clients have not read yet',
  });
  const releases = new WeakMap<ServerResponse, () => void>();
  const hold: HoldUnsent = (response, { accountId, bytes }) => {
    if (response.destroyed) return;
    const release = releases.get(response);
    if (release === undefined) onceClosed(response, () => releases.get(response)?.());
    release?.();
    releases.set(response, bytes === 0 ? () => {} : quota.hold(accountId, bytes));
  };
  app.addHook('onSend', async ({ accountId = '' }, { raw }, payload) => {
    if (typeof payload !== 'string' && !Buffer.isBuffer(payload)) return payload;
    const bytes = Buffer.byteLength(payload);
    if (bytes < LARGE_BYTES) return payload;
    hold(raw, { accountId, bytes });
    // Node would keep both a text and its bytes.
    return typeof payload === 'string' ? Buffer.from(payload) : payload;
  });
  return { quota, hold };
}
