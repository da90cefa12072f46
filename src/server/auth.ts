import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServiceError } from '../dataset/errors.js';
import type { ReadLinkParts } from '../service/download/read-links.js';
import type { ServerDependencies } from './context.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The account of the request's token or link; set under the base path only. */
    accountId: string;
  }
  interface FastifyContextConfig {
    /** Whether the route accepts a read link instead of a token. */
    acceptsReadLink?: boolean;
  }
}

type AuthDependencies = Pick<ServerDependencies, 'accounts' | 'readLinks' | 'now'>;

/** Rejects requests without a valid token, or a read link if the route accepts one, before their body is read. */
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
    const token = tokenOf(request);
    if (token === undefined) {
      request.accountId = accountByLink(request);
      return;
    }
    const accountId = await accounts.accountOf(token);
    if (accountId === undefined) {
      const message = 'The token is unknown or was revoked. To make a new one, run: trainyard token create';
      throw new ServiceError('unauthorized', message);
    }
    request.accountId = accountId;
  });
}

/** The token that a request carries. */
export function tokenOf({ headers }: FastifyRequest): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
}

/** The read link in the query, if the route accepts one. */
function linkOf({ params, query, routeOptions }: FastifyRequest): ReadLinkParts | undefined {
  const given = query as Record<string, unknown>;
  if (!routeOptions.config.acceptsReadLink || given.signature === undefined) return undefined;
  // A part that is missing or given twice becomes empty, and the signature does not match.
  const part = (name: string) => (typeof given[name] === 'string' ? given[name] : '');
  const { id } = params as { id: string };
  return { account: part('account'), id, expires: part('expires'), signature: part('signature') };
}
