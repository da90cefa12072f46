import { createHmac } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PAGE_HEADER } from '../api/limits.js';
import { ServiceError } from '../dataset/errors.js';
import { onceClosed } from './connections.js';
import { isRead, rowOf } from './register-routes.js';
import { timeOf } from './wire.js';
import { datasetNotFound, type DatasetScope } from '../service/datasets.js';
import { Quota, RateLimiter } from '../storage/limits.js';
import type { ReadLinkParts, ReadLinks } from '../service/signed-links.js';
import { type Accounts, type Grant, isExpired } from '../storage/catalog/accounts.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set under the base path only. */
    accountId: string;
    /** `undefined` for a link. */
    grant: Grant | undefined;
    /** A token, or the secret of a session; empty for a link. */
    secret: string;
  }
}

export interface AuthOptions {
  readonly accounts: Accounts;
  readonly readLinks: ReadLinks;
  readonly failedLogins: FailedLogins;
  readonly sessionCookie: string;
  /** In force. */
  readonly maxConnections: number;
  /** At once. */
  readonly maxDownloads: number;
  readonly now: () => number;
}

/** Rejects requests without a valid token, session or link, or beyond its rights, before their body is read. */
export function requireToken(scope: FastifyInstance, options: AuthOptions): void {
  const { accounts, readLinks, failedLogins, sessionCookie, now, maxConnections, maxDownloads } = options;
  const requestRate = new RequestRate(ACCOUNT_REQUESTS_PER_SECOND);
  const requestsInFlight = new Quota({
    ofAccount: Math.ceil(maxConnections / 2),
    what: 'requests in flight, half of the connections that this server takes',
  });
  const downloadsInFlight = new Quota({
    ofAccount: Math.ceil(maxDownloads / 2),
    ofAll: maxDownloads,
    what: `downloads in flight, each with a connection to the bucket, of which there are ${maxDownloads} for all accounts`,
  });
  scope.decorateRequest('accountId', '');
  scope.decorateRequest('secret', '');
  scope.decorateRequest('grant', undefined);
  const accountByLink = async (request: FastifyRequest): Promise<string> => {
    const link = linkOf(request);
    if (link === undefined) {
      throw new ServiceError(
        'unauthorized',
        isFromPage(request)
          ? 'You are not signed in, or your session has expired. Sign in again.'
          : 'Send a token with this request: "Authorization: Bearer ty_…".',
      );
    }
    const account = readLinks.verify(link, now());
    if (link.tar !== undefined && (await accounts.isRevoked(link.tar.token))) {
      throw new ServiceError('link_withdrawn', 'The token that made this link was revoked, and the link with it.');
    }
    if (link.share !== undefined) {
      requireShared(request);
      if (await accounts.isRevoked(link.share)) throw new ServiceError('link_withdrawn', 'This link was revoked.');
    }
    return account;
  };
  const grantOf = async (request: FastifyRequest, { secret, isSession }: Credential): Promise<Grant> => {
    const grant = await accounts.grantOf(secret);
    try {
      requireValid(grant, { isSession, now: now() });
    } catch (error) {
      await failedLogins.delay(request.ip);
      throw error;
    }
    if (isSession) requireSameSession(request, grant);
    accounts.markUsed(grant.tokenId, now());
    if (grant.sessionId !== null) accounts.markUsed(grant.sessionId, now());
    return grant;
  };
  scope.addHook('onRequest', async (request, reply) => {
    const { route } = request.routeOptions.config;
    const credential = credentialOf(request, sessionCookie);
    // Without a token, the request has a code that signs in.
    if (route === 'session.start' && credential?.isSession !== false) return;
    request.secret = credential?.secret ?? '';
    request.grant = credential && (await grantOf(request, credential));
    request.accountId = request.grant?.accountId ?? (await accountByLink(request));
    onceClosed(reply.raw, requestsInFlight.hold(request.accountId));
    await requestRate.admit(request.accountId, { isPoll: route === 'dataset.status' });
    if (rowOf(request)?.isDownload) onceClosed(reply.raw, downloadsInFlight.hold(request.accountId));
    if (request.grant !== undefined) requireRight(request, request.grant);
    // Shared caches know that Authorization is one person's (RFC 9111, 3.5), but not cookies.
    if (credential?.isSession === true) reply.header('cache-control', 'private, no-cache');
  });
}

type Credential = NonNullable<ReturnType<typeof credentialOf>>;

/** The token, or else the session of the page. */
function credentialOf(request: FastifyRequest, sessionCookie: string) {
  const token = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token !== undefined) return { secret: token, isSession: false };
  const secret = isFromPage(request) ? cookieOf(request, sessionCookie) : undefined;
  return secret === undefined ? undefined : { secret, isSession: true };
}

function requireValid(
  grant: Grant | undefined,
  { isSession, now }: { isSession: boolean; now: number },
): asserts grant is Grant {
  const advice = isSession
    ? 'Sign in again.'
    : 'To make a new one, run on the machine of the service: trainyard token create (in a clone: npx trainyard token create)';
  if (grant === undefined || (grant.kind === 'session') !== isSession) {
    const message = isSession
      ? 'Your session was ended, or its token was revoked.'
      : 'The token is unknown or was revoked.';
    throw new ServiceError('unauthorized', `${message} ${advice}`);
  }
  if (isExpired(grant, now)) {
    const what = isSession ? 'Your session' : 'The token';
    throw new ServiceError('unauthorized', `${what} expired at ${timeOf(grant.expiresAt ?? now)}. ${advice}`);
  }
}

/** @throws ServiceError `not_allowed`; `dataset_not_found` for a dataset that the token is not bound to */
function requireRight(request: FastifyRequest, grant: Grant): void {
  if (grant.kind === 'share') requireShared(request);
  if (grant.isReadOnly && !isRead(request)) {
    throw new ServiceError(
      'not_allowed',
      'This token only reads. To change datasets, use a token without --read-only.',
    );
  }
  if (grant.datasetIds === null) return;
  const { id } = request.params as { id?: string };
  if (id !== undefined && !grant.datasetIds.includes(id)) throw datasetNotFound(id);
  if (id === undefined && !isRead(request)) {
    const message =
      'This token is bound to datasets, and makes neither others nor tokens. Use a token without --dataset.';
    throw new ServiceError('not_allowed', message);
  }
}

/** Earlier revisions may have files that were deleted because others must not see them. @throws ServiceError `not_allowed` */
function requireShared(request: FastifyRequest): void {
  const { revision, digest } = request.query as Record<string, unknown>;
  if (rowOf(request)?.access === 'share' && revision === undefined && digest === undefined) return;
  throw new ServiceError('not_allowed', 'A share link shows the current files of one dataset, and nothing else.');
}

/** What an answer may say of other datasets. */
export function scopeOf({ grant }: Pick<FastifyRequest, 'grant'>): DatasetScope {
  return { boundIds: grant?.datasetIds ?? null, isShare: grant?.kind === 'share' };
}

/** `undefined` unless the route accepts one. */
function linkOf(request: FastifyRequest): ReadLinkParts | undefined {
  const given = request.query as Record<string, unknown>;
  const accepted = rowOf(request)?.link;
  if (accepted === undefined || given.signature === undefined) return undefined;
  // A missing or repeated part becomes empty, so the signature does not match.
  const part = (name: string) => (typeof given[name] === 'string' ? given[name] : '');
  const { id } = request.params as { id: string };
  const link = { account: part('account'), id, expires: part('expires'), signature: part('signature') };
  if (accepted === 'tar') return { ...link, tar: { digest: part('digest'), token: part('token') } };
  return given.share === undefined ? link : { ...link, share: part('share') };
}

/** Browsers send cookies to all ports of a host (https://www.rfc-editor.org/rfc/rfc6265#section-8.5), so installations differ in it. */
export function sessionCookieName(linkKey: Buffer): string {
  return `trainyard_${createHmac('sha256', linkKey).update('session cookie').digest('hex').slice(0, 8)}`;
}

function cookieOf({ headers }: FastifyRequest, name: string): string | undefined {
  for (const part of (headers.cookie ?? '').split(';')) {
    const cookie = part.trim();
    if (cookie.startsWith(`${name}=`)) return cookie.slice(name.length + 1);
  }
  return undefined;
}

/** Hidden from scripts and other sites' pages. @param seconds 0 deletes it */
export function setSessionCookie(
  reply: FastifyReply,
  { name, value, seconds }: { name: string; value: string; seconds: number },
): void {
  const { protocol, headers } = reply.request;
  // Pages name their scheme with each POST, also behind a proxy that is not trusted.
  const isSecure = protocol === 'https' || headers.origin?.startsWith('https:') === true;
  const attributes = ['Path=/', 'HttpOnly', 'SameSite=Strict', `Max-Age=${seconds}`, ...(isSecure ? ['Secure'] : [])];
  reply.header('set-cookie', [`${name}=${value}`, ...attributes].join('; ')).header('cache-control', 'no-store');
}

/** Only the service's own scripts can send the header (CORS); where browsers name the origin, it must agree. */
export function isFromPage({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  return headers[PAGE_HEADER] !== undefined && (site === undefined || site === 'same-origin');
}

/** A sign-in in another tab changes the cookie of both, maybe to another account. @throws ServiceError `unauthorized` */
function requireSameSession({ headers }: FastifyRequest, { sessionId }: Grant): void {
  const expected = headers[PAGE_HEADER];
  if (expected === '1' || expected === sessionId) return;
  throw new ServiceError('unauthorized', 'This browser has signed in again in another tab. Load the page again.');
}

/** `Firefox on Linux`; null for an unknown client. */
export function browserNameOf({ headers }: FastifyRequest): string | null {
  const agent = headers['user-agent'] ?? '';
  const nameIn = (names: Readonly<Record<string, RegExp>>) =>
    Object.entries(names).find(([, pattern]) => pattern.test(agent))?.[0];
  const browser = nameIn(BROWSERS);
  const system = nameIn(SYSTEMS);
  if (browser === undefined) return null;
  return system === undefined ? browser : `${browser} on ${system}`;
}

/** Most browsers also name those that follow here. */
const BROWSERS = { Edge: /Edg\//, Opera: /OPR\//, Firefox: /Firefox\//, Chrome: /Chrome\//, Safari: /Safari\// };
const SYSTEMS = { Android: /Android/, iOS: /iPhone|iPad/, Windows: /Windows/, macOS: /Mac OS X/, Linux: /Linux/ };

/** Of an account to one process. Clients send many at once and then none. */
const ACCOUNT_REQUESTS_PER_SECOND = 2000;
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
      const delayMs = this.#polls.take(accountId, MAX_POLL_DELAY_MS);
      if (delayMs > 0) await wait(Math.min(delayMs, MAX_POLL_DELAY_MS));
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
    const delayMs = this.#failures.take(networkOf(address), MAX_DELAY_MS);
    if (delayMs === 0) return;
    if (this.#delayed >= MAX_DELAYED) {
      const message = 'Too many requests have a wrong token. Check the token, then try again.';
      throw new ServiceError('too_many_requests', message, { retryAfterSeconds: MAX_DELAY_MS / 1000 });
    }
    this.#delayed++;
    await wait(Math.min(delayMs, MAX_DELAY_MS)).finally(() => this.#delayed--);
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
