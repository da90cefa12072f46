import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../dataset/errors.js';
import type { Accounts } from '../storage/accounts.js';

/** Every request of this scope must carry a valid token, before a byte of its body is read. */
export function requireToken(scope: FastifyInstance, accounts: Accounts): void {
  scope.decorateRequest('accountId', '');
  scope.addHook('onRequest', async (request) => {
    const token = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) {
      throw new ServiceError('unauthorized', 'Send a token with this request: "Authorization: Bearer ty_…".');
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
