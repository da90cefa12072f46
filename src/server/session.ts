import { createHmac } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PAGE_HEADER } from '../api/base-path.js';
import { ServiceError } from '../dataset/errors.js';
import type { Grant } from '../storage/catalog/accounts/accounts.js';

/** Browsers send cookies to all ports of a host (https://www.rfc-editor.org/rfc/rfc6265#section-8.5), so installations differ in it. */
export function sessionCookieName(linkKey: Buffer): string {
  return `trainyard_${createHmac('sha256', linkKey).update('session cookie').digest('hex').slice(0, 8)}`;
}

export function cookieOf({ headers }: FastifyRequest, name: string): string | undefined {
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
export function requireSameSession({ headers }: FastifyRequest, { sessionId }: Grant): void {
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
