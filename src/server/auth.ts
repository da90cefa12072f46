import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServiceError } from '../dataset/errors.js';
import type { ReadLinkParts } from '../service/download/read-links.js';
import type { ServerDependencies } from './context.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The account that the request's token or link speaks for; set under the base path only. */
    accountId: string;
  }
  interface FastifyContextConfig {
    /** Whether a link for reading is as good as a token here. */
    acceptsReadLink?: boolean;
  }
}

type AuthDependencies = Pick<ServerDependencies, 'accounts' | 'readLinks' | 'now'>;

/** Every request of this scope must carry a valid token, before a byte of its body is read; or a link, where that is taken. */
export function requireToken(scope: FastifyInstance, { accounts, readLinks, now }: AuthDependencies): void {
  scope.decorateRequest('accountId', '');
  const accountByLink = (request: FastifyRequest): string => {
    const link = linkOf(request);
    if (link === undefined) {
      throw new ServiceError('unauthorized', 'Send a token with this request: "Authorization: Bearer ty_…".');
    }
    return readLinks.verify(link, now());
  };
  scope.addHook('onRequest', async (request) => {
    const token = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) {
      request.accountId = accountByLink(request);
      return;
    }
    const accountId = await accounts.accountOf(token);
    if (accountId === undefined) {
      throw new ServiceError(
        'unauthorized',
        'The token is unknown or was revoked. "trainyard token create" makes a new one.',
      );
    }
    request.accountId = accountId;
  });
}

/** The link that a request comes with, where one is taken in the place of a token. */
function linkOf({ params, query, routeOptions }: FastifyRequest): ReadLinkParts | undefined {
  const given = query as Record<string, unknown>;
  if (!routeOptions.config.acceptsReadLink || given.signature === undefined) return undefined;
  // A part that is missing, or there twice, is one that was never signed.
  const part = (name: string) => (typeof given[name] === 'string' ? given[name] : '');
  const { id } = params as { id: string };
  return { account: part('account'), id, expires: part('expires'), signature: part('signature') };
}
