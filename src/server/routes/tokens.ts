import { DEFAULT_SHARE_SECONDS, MAX_EXPIRY_SECONDS } from '../../api/limits.js';
import { datasetParams } from '../../api/request-schemas.js';
import {
  revocationQuery,
  shareBody,
  shareParams,
  tokenBody,
  tokenParams,
  type WireRevokedToken,
  type WireToken,
  wireNewShare,
  wireNewToken,
  wireRevokedToken,
  wireTokenList,
} from '../../api/account/token-schemas.js';
import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { RevocationOptions } from '../../storage/catalog/accounts/accounts.js';
import { type Grant, isExpired, type TokenRights, type TokenSummary } from '../../storage/catalog/accounts/grant.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { timeOf } from '../to-wire.js';
import { baseUrlOf } from './files.js';

const route = routesTagged('account');

/** Routes to list, make and revoke the tokens of an account, and the shares of its datasets. */
export function registerTokenRoutes(app: App, context: RouteContext): void {
  const { accounts, datasets, now, publicUrl } = context;

  const make = async (grant: Grant, rights: TokenRights) => {
    const made = await accounts.createToken(grant.accountName, now(), { ...rights, parentId: grant.tokenId });
    const [summary] = await accounts.tokens(grant.accountName, { ids: [made.id] });
    if (summary === undefined) throw new Error('The new token is not in the catalog.');
    return { ...tokenToWire(summary, grant), secret: made.token };
  };
  const revoke = async (grant: Grant, id: string, options: RevocationOptions): Promise<WireRevokedToken> => {
    const revoked = await accounts.revokeToken(id, now(), { accountId: grant.accountId, ...options });
    return { id, revoked, current: revoked.includes(idOf(grant)) };
  };

  app.get(
    '/tokens',
    route('The tokens, sessions and shares of the account that are not revoked, oldest first, without their secrets', {
      response: { 200: wireTokenList },
    }),
    async (request) => {
      const grant = grantOf(request);
      const ids = grant.datasetIds === null ? undefined : [grant.tokenId, idOf(grant)];
      const found = await accounts.tokens(grant.accountName, { isUnrevoked: true, ...(ids && { ids }) });
      const at = now();
      // Each sign-in leaves a session, which is of no use once it has expired.
      const listed = found.filter((token) => token.kind !== 'session' || !isExpired(token, at));
      return { tokens: listed.map((token) => tokenToWire(token, grant)) };
    },
  );

  app.post(
    '/tokens',
    route('Make a token with at most the rights of the own one', {
      body: tokenBody,
      response: { 200: wireNewToken },
      errors: ['invalid_name', 'dataset_not_found', 'quota_exceeded'],
    }),
    async (request) => {
      const { read_only, datasets: bound, name, ...expiry } = request.body ?? { read_only: false };
      const rights = { isReadOnly: read_only, datasets: bound ?? undefined, expiresAt: expiryOf(expiry, now()) };
      const made = await make(grantOf(request), { ...rights, name: nameOf(name) });
      request.audited = { made: made.id, ...(made.name !== null && { name: made.name }) };
      return made;
    },
  );

  app.delete(
    '/tokens/:token_id',
    route('Revoke a token, session or share, and the sessions and shares that it made', {
      params: tokenParams,
      querystring: revocationQuery,
      response: { 200: wireRevokedToken },
      errors: ['token_not_found'],
    }),
    async (request) => {
      const { params, query } = request;
      const answer = await revoke(grantOf(request), params.token_id, { withMade: query.with_made === 'true' });
      request.audited = { revoked: answer.revoked };
      return answer;
    },
  );

  app.get(
    '/:id/shares',
    route('The share links of a dataset that are not revoked, oldest first, without their secrets', {
      params: datasetParams,
      response: { 200: wireTokenList },
    }),
    async (request) => {
      const grant = grantOf(request);
      const { id } = request.params;
      await datasets.summary({ accountId: grant.accountId, id });
      const found = await accounts.tokens(grant.accountName, { isUnrevoked: true, kind: 'share' });
      const shares = found.filter(({ datasets: bound }) => bound?.[0]?.id === id);
      return { tokens: shares.map((token) => tokenToWire(token, grant)) };
    },
  );

  app.post(
    '/:id/shares',
    route('Make a link to a page that shows and downloads the current files of a dataset', {
      params: datasetParams,
      body: shareBody,
      response: { 200: wireNewShare },
      errors: ['invalid_name', 'quota_exceeded'],
    }),
    async (request) => {
      const grant = grantOf(request);
      const { id } = request.params;
      await datasets.summary({ accountId: grant.accountId, id });
      const seconds = request.body?.expires_in ?? DEFAULT_SHARE_SECONDS;
      const made = await make(grant, {
        kind: 'share',
        isReadOnly: true,
        datasets: [id],
        expiresAt: now() + seconds * MICROS_PER_SECOND,
        name: nameOf(request.body?.name),
      });
      request.audited = { made: made.id, ...(made.expires_at !== null && { expires_at: made.expires_at }) };
      // A browser never sends what follows the `#`, so that the secret is in no log.
      const url = `${baseUrlOf(request, publicUrl)}/shared/datasets/${encodeURIComponent(id)}#share=${made.secret}`;
      return { ...made, url };
    },
  );

  app.delete(
    '/:id/shares/:share_id',
    route('Revoke a share link of a dataset', {
      params: shareParams,
      response: { 200: wireRevokedToken },
      errors: ['token_not_found'],
    }),
    async (request) => {
      const { id, share_id } = request.params;
      const answer = await revoke(grantOf(request), share_id, { sharedDatasetId: id });
      request.audited = { revoked: answer.revoked };
      return answer;
    },
  );
}

function grantOf({ grant }: { grant: Grant | undefined }): Grant {
  if (grant === undefined) throw new Error('No link leads to tokens.');
  return grant;
}

/** The id of what the request came with: a token, or a session of it. */
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
  if (expires_in != null && expires_at != null) throw invalidExpiry('give this or expires_in, not both');
  if (expires_in != null) return now + expires_in * MICROS_PER_SECOND;
  if (expires_at == null) return null;
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/.test(expires_at);
  const at = Date.parse(hasZone ? expires_at : `${expires_at}Z`) * 1000;
  // Also false for a date that is none.
  if (!(at > now)) throw invalidExpiry('must be in the future');
  if (at > now + MAX_EXPIRY_SECONDS * MICROS_PER_SECOND) throw invalidExpiry('must be within ten years');
  return at;
}

function invalidExpiry(message: string): ServiceError {
  const detail = [{ path: 'expires_at', message }];
  return new ServiceError('invalid_field', `The request is not valid. expires_at: ${message}`, { detail });
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
    last_used_at: lastUsedAt === null ? null : timeOf(lastUsedAt),
    expires_at: expiresAt === null ? null : timeOf(expiresAt),
    made_by: parentId,
    current: id === idOf(grant),
  };
}
