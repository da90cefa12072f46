import type { FastifyReply, FastifyRequest } from 'fastify';
import type { WireRevokedToken, WireToken } from '../../api/account-schemas.js';
import { DEFAULT_SHARE_SECONDS, MAX_EXPIRY_SECONDS } from '../../api/limits.js';
import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { DatasetService } from '../../service/datasets.js';
import {
  type Accounts,
  type AccountLimits,
  type Grant,
  isExpired,
  type NewSession,
  type RevocationOptions,
  type TokenRights,
  type TokenSummary,
} from '../../storage/catalog/accounts.js';
import type { Handlers } from '../register-routes.js';
import { invalidField, timeOf, timeOrNull } from '../wire.js';
import { browserNameOf, type FailedLogins, isFromPage, setSessionCookie } from '../auth.js';
import { baseUrlOf } from './uploads.js';

interface AccountServices {
  readonly accounts: Accounts;
  readonly datasets: DatasetService;
  readonly failedLogins: FailedLogins;
  readonly sessionCookie: string;
  readonly limits: AccountLimits;
  /** `undefined`: the host that each client used. */
  readonly publicUrl: string | undefined;
  /** Where other machines may reach the server. */
  readonly listeningUrls: () => string[];
  readonly now: () => Micros;
}

export function accountHandlers(services: AccountServices) {
  const { accounts, datasets, failedLogins, sessionCookie, publicUrl, listeningUrls, now } = services;
  const { datasetFiles: _, ...limits } = services.limits;
  const answerWith = (reply: FastifyReply, { id, secret, expiresAt }: NewSession) => {
    const seconds = Math.ceil((expiresAt - now()) / MICROS_PER_SECOND);
    setSessionCookie(reply, { name: sessionCookie, value: secret, seconds });
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
  return {
    'account.read': async ({ accountId, request }) => {
      const { tokenId, sessionId, accountName, isReadOnly, datasetIds, expiresAt } = grantOf(request);
      const usageToWire = ({ historyBytes, ...usage }: Awaited<ReturnType<Accounts['usage']>>) => ({
        ...usage,
        history_bytes: historyBytes,
      });
      return {
        account: accountName,
        token: {
          id: tokenId,
          read_only: isReadOnly,
          datasets: datasetIds && [...datasetIds],
          expires_at: timeOrNull(expiresAt),
        },
        session_id: sessionId,
        ...(datasetIds === null && { usage: usageToWire(await accounts.usage(accountId)) }),
        limits,
        ...(datasetIds === null && { urls: listeningUrls() }),
      };
    },
    'token.list': async ({ request }) => {
      const grant = grantOf(request);
      const ids = grant.datasetIds === null ? undefined : [grant.tokenId, idOf(grant)];
      const found = await accounts.tokens(grant.accountName, { isUnrevoked: true, ...(ids && { ids }) });
      const at = now();
      // Expired sessions of earlier sign-ins are of no use.
      const listed = found.filter((token) => token.kind !== 'session' || !isExpired(token, at));
      return { tokens: listed.map((token) => tokenToWire(token, grant)) };
    },
    'token.create': async ({ body, request }) => {
      const { read_only, datasets: bound, name, ...expiry } = body ?? { read_only: false };
      const rights = { isReadOnly: read_only, datasets: bound ?? undefined, expiresAt: expiryOf(expiry, now()) };
      const made = await makeToken(accounts, grantOf(request), { ...rights, name: nameOf(name) }, now());
      request.audited = { made: made.id, ...(made.name !== null && { name: made.name }) };
      return made;
    },
    'token.revoke': async ({ params, query, request }) =>
      revoke(accounts, request, params.token_id, { withMade: query.with_made === 'true', now: now() }),
    'share.list': async ({ key, request }) => {
      const grant = grantOf(request);
      await datasets.summary(key);
      const found = await accounts.tokens(grant.accountName, { isUnrevoked: true, kind: 'share' });
      const shares = found.filter(({ datasets: bound }) => bound?.[0]?.id === key.id);
      return { tokens: shares.map((token) => tokenToWire(token, grant)) };
    },
    'share.create': async ({ key, body, request }) => {
      await datasets.summary(key);
      const base = baseUrlOf(request, publicUrl);
      const expiresAt = now() + (body?.expires_in ?? DEFAULT_SHARE_SECONDS) * MICROS_PER_SECOND;
      const rights = {
        kind: 'share',
        isReadOnly: true,
        datasets: [key.id],
        expiresAt,
        name: nameOf(body?.name),
      } as const;
      const made = await makeToken(accounts, grantOf(request), rights, now());
      request.audited = { made: made.id, ...(made.expires_at !== null && { expires_at: made.expires_at }) };
      // Browsers never send what follows the `#`, so the secret is in no log.
      return { ...made, url: `${base}/shared/datasets/${encodeURIComponent(key.id)}#share=${made.secret}` };
    },
    'share.revoke': async ({ key, params, request }) =>
      revoke(accounts, request, params.share_id, { sharedDatasetId: key.id, now: now() }),
    'session.start': async ({ body, request, reply }) => {
      // Otherwise another site could sign a browser in to its own account.
      if (!isFromPage(request)) {
        const message = 'A session is only for the page of this service, which sends the header Trainyard-Page.';
        throw new ServiceError('not_allowed', message);
      }
      const { grant } = request;
      if (grant === undefined) {
        if (body == null) throw new ServiceError('unauthorized', 'Send a token, or a code, with this request.');
        const session = await startWithCode(request, body.code);
        request.grant = await accounts.grantOf(session.secret);
        request.audited = { session: session.id, by: 'code' };
        return answerWith(reply, session);
      }
      const options = { now: now(), name: browserNameOf(request) };
      const session = await accounts.makeSession('session', grant.tokenId, options);
      if (session === undefined) throw tokenHasEnded();
      request.audited = { session: session.id };
      return answerWith(reply, session);
    },
    'session.end': async ({ request, reply }) => {
      const id = request.grant?.sessionId ?? null;
      if (id === null) throw new ServiceError('not_allowed', 'This request has a token. Only a session signs out.');
      request.audited = {};
      await accounts.revokeToken(id, now());
      setSessionCookie(reply, { name: sessionCookie, value: '', seconds: 0 });
      return { id, ended: true };
    },
    'session.code': async ({ request, reply }) => {
      const { tokenId } = request.grant ?? {};
      const code =
        tokenId === undefined ? undefined : await accounts.makeSession('code', tokenId, { now: now(), name: null });
      if (tokenId === undefined || code === undefined) throw tokenHasEnded();
      request.audited = {};
      reply.header('cache-control', 'no-store');
      return { code: code.secret, token_id: tokenId, expires_at: timeOf(code.expiresAt) };
    },
  } satisfies Partial<Handlers>;
}

async function makeToken(accounts: Accounts, grant: Grant, rights: TokenRights, now: Micros) {
  const made = await accounts.createToken(grant.accountName, now, { ...rights, parentId: grant.tokenId });
  const [summary] = await accounts.tokens(grant.accountName, { ids: [made.id] });
  if (summary === undefined) throw new Error('The new token is not in the catalog.');
  return { ...tokenToWire(summary, grant), secret: made.token };
}

async function revoke(
  accounts: Accounts,
  request: FastifyRequest,
  id: string,
  { now, ...options }: RevocationOptions & { now: Micros },
): Promise<WireRevokedToken> {
  const grant = grantOf(request);
  const revoked = await accounts.revokeToken(id, now, { accountId: grant.accountId, ...options });
  request.audited = { revoked };
  return { id, revoked, current: revoked.includes(idOf(grant)) };
}

/** Since the request began. */
function tokenHasEnded(): ServiceError {
  return new ServiceError('unauthorized', 'The token was revoked or has expired.');
}

function grantOf({ grant }: { grant: Grant | undefined }): Grant {
  if (grant === undefined) throw new Error('No link leads to tokens.');
  return grant;
}

/** The session, or else the token. */
function idOf({ tokenId, sessionId }: Grant): string {
  return sessionId ?? tokenId;
}

function nameOf(name: string | null | undefined): string | undefined {
  return name?.trim() || undefined;
}

/** @throws ServiceError `invalid_field` */
function expiryOf(
  { expires_in, expires_at }: { expires_in?: number | null | undefined; expires_at?: string | null | undefined },
  now: Micros,
): Micros | null {
  if (expires_in != null && expires_at != null) throw invalidField('expires_at', 'give this or expires_in, not both');
  if (expires_in != null) return now + expires_in * MICROS_PER_SECOND;
  if (expires_at == null) return null;
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/.test(expires_at);
  const at = Date.parse(hasZone ? expires_at : `${expires_at}Z`) * 1000;
  // Also false for an invalid date.
  if (!(at > now)) throw invalidField('expires_at', 'must be in the future');
  if (at > now + MAX_EXPIRY_SECONDS * MICROS_PER_SECOND) throw invalidField('expires_at', 'must be within ten years');
  return at;
}

function tokenToWire(token: TokenSummary, grant: Grant): WireToken {
  const { id, kind, name, hint, isReadOnly, datasets, createdAt, lastUsedAt, expiresAt, parentId } = token;
  if (kind === 'code') throw new Error('A code is not listed.');
  return {
    id,
    kind,
    name,
    hint,
    read_only: isReadOnly,
    datasets: datasets && [...datasets],
    created_at: timeOf(createdAt),
    last_used_at: timeOrNull(lastUsedAt),
    expires_at: timeOrNull(expiresAt),
    made_by: parentId,
    current: id === idOf(grant),
  };
}
