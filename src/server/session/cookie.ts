import { createHmac } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * The name of the cookie with the session. A browser sends a cookie to all ports of a host
 * (https://www.rfc-editor.org/rfc/rfc6265#section-8.5), so each installation has a name of its own.
 */
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

/** Sets the cookie of a page: scripts can't read it, and the pages of other sites don't send it. @param seconds 0 deletes it */
export function setSessionCookie(
  reply: FastifyReply,
  { name, value, seconds }: { name: string; value: string; seconds: number },
): void {
  const { protocol, headers } = reply.request;
  // A page names its own scheme with each POST, also behind a proxy that is not trusted.
  const isSecure = protocol === 'https' || headers.origin?.startsWith('https:') === true;
  const attributes = ['Path=/', 'HttpOnly', 'SameSite=Strict', `Max-Age=${seconds}`, ...(isSecure ? ['Secure'] : [])];
  reply.header('set-cookie', [`${name}=${value}`, ...attributes].join('; ')).header('cache-control', 'no-store');
}
