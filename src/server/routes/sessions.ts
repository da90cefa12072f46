import type { FastifyReply, FastifyRequest } from 'fastify';
import { sessionBody, wireEndedSession, wireSession, wireSignInCode } from '../../api/account/session-schemas.js';
import { MICROS_PER_SECOND } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { NewSession } from '../../storage/catalog/accounts/grant.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { SMALL_BODY_BYTES } from '../json-body.js';
import { setSessionCookie } from '../session/cookie.js';
import { browserNameOf, isFromPage } from '../session/page-request.js';
import { timeOf } from '../to-wire.js';

const route = routesTagged('account');

/** A token that only reads may use them: they change nothing but the sign-in. */
const isRead = true;

/** The routes by which a browser signs in and out. */
export function registerSessionRoutes(app: App, context: RouteContext): void {
  const { accounts, failedLogins, sessionCookie: name, now } = context;

  const answerWith = (reply: FastifyReply, { id, secret, expiresAt }: NewSession) => {
    const seconds = Math.ceil((expiresAt - now()) / MICROS_PER_SECOND);
    setSessionCookie(reply, { name, value: secret, seconds });
    return { id, expires_at: timeOf(expiresAt) };
  };

  const startWithCode = async (request: FastifyRequest, code: string): Promise<NewSession> => {
    failedLogins.admitCode(request.ip);
    const session = await accounts.startSessionWithCode(code, { now: now(), name: browserNameOf(request) });
    if (session !== undefined) return session;
    const message =
      'The link was used already, or has expired: it signs in once, within a minute. To get another one, run: trainyard open';
    throw new ServiceError('unauthorized', message);
  };

  app.post(
    '/session',
    {
      config: { isRead, acceptsCode: true },
      bodyLimit: SMALL_BODY_BYTES,
      ...route('Sign in a browser: exchange a token, or a code without a token, for the cookie of a session', {
        body: sessionBody,
        response: { 200: wireSession },
        errors: ['not_allowed'],
      }),
    },
    async (request, reply) => {
      // Otherwise another site could sign a browser in to an account of its own.
      if (!isFromPage(request)) {
        const message = 'A session is only for the page of this service, which sends the header Trainyard-Page.';
        throw new ServiceError('not_allowed', message);
      }
      const { grant, body } = request;
      if (grant === undefined) {
        if (body == null) throw new ServiceError('unauthorized', 'Send a token, or a code, with this request.');
        const session = await startWithCode(request, body.code);
        request.grant = await accounts.grantOf(session.secret);
        request.audited = { session: session.id, by: 'code' };
        return answerWith(reply, session);
      }
      const session = await accounts.makeSession('session', grant.tokenId, {
        now: now(),
        name: browserNameOf(request),
      });
      if (session === undefined) throw tokenHasEnded();
      request.audited = { session: session.id };
      return answerWith(reply, session);
    },
  );

  app.delete(
    '/session',
    {
      config: { isRead },
      ...route('Sign out: end the session of the cookie', {
        response: { 200: wireEndedSession },
        errors: ['not_allowed'],
      }),
    },
    async (request, reply) => {
      const id = request.grant?.sessionId ?? null;
      if (id === null) throw new ServiceError('not_allowed', 'This request has a token. Only a session signs out.');
      request.audited = {};
      await accounts.revokeToken(id, now());
      setSessionCookie(reply, { name, value: '', seconds: 0 });
      return { id, ended: true as const };
    },
  );

  app.post(
    '/session/codes',
    {
      config: { isRead },
      ...route('Make a code that signs in one browser, once, within a minute', { response: { 200: wireSignInCode } }),
    },
    async (request, reply) => {
      const { tokenId } = request.grant ?? {};
      const code =
        tokenId === undefined ? undefined : await accounts.makeSession('code', tokenId, { now: now(), name: null });
      if (tokenId === undefined || code === undefined) throw tokenHasEnded();
      request.audited = {};
      reply.header('cache-control', 'no-store');
      return { code: code.secret, token_id: tokenId, expires_at: timeOf(code.expiresAt) };
    },
  );
}

/** The token was revoked or expired since the request began. */
function tokenHasEnded(): ServiceError {
  return new ServiceError('unauthorized', 'The token was revoked or has expired.');
}
