import { expect, test } from 'vitest';
import { type Accounts, ENDED_TOKEN_LIFETIME, pruneTokens } from '../../../src/storage/catalog/accounts.js';
import type { Schema } from '../../../src/storage/database/schema.js';
import { query } from '../../../src/storage/database/database.js';
import { onCatalogs } from '../../harness/backends.js';

const MINUTE = 60_000_000;
const DAY = 1440 * MINUTE;
const NOW = 1_800_000_000_000_000;
const LATER = NOW + ENDED_TOKEN_LIFETIME;

/** Tokens and shares that an account has, and ended ones that are kept. */
const MAX_TOKENS = 1000;

onCatalogs((open) => {
  const openAccounts = async () => {
    const { accounts, database } = await open();
    const ids = async () => (await database.run(query.selectFrom('token').select('id'))).map(({ id }) => id);
    const make = (rights: Parameters<Accounts['createToken']>[2] = {}) => accounts.createToken('yard', NOW, rights);
    const start = (tokenId: string, now = NOW) => accounts.makeSession('session', tokenId, { now, name: 'Firefox' });
    /** Adds rows like that of a token. */
    const addLike = async (id: string, count: number, columns: (i: number) => Partial<Schema['token']>) => {
      const [row] = await database.run(query.selectFrom('token').selectAll().where('id', '=', id));
      for (let from = 0; from < count; from += 100) {
        const rows = Array.from({ length: Math.min(100, count - from) }, (_, i) => ({
          ...{ ...row!, id: `t${from + i}`, digest: `d${from + i}` },
          ...columns(from + i),
        }));
        await database.run(query.insertInto('token').values(rows));
      }
    };
    return { accounts, database, ids, make, start, addLike };
  };

  test('a session ends after 30 days, or with its token, whose name its changes have', async () => {
    const { accounts, database, make, start } = await openAccounts();
    const { id, token } = await make({ name: 'laptop' });
    const session = await start(id);
    const stored = JSON.stringify(await database.run(query.selectFrom('token').selectAll()));
    for (const secret of [token, session!.secret]) expect(stored).not.toContain(secret);
    expect(session?.expiresAt).toBe(NOW + 30 * DAY);
    expect(await accounts.grantOf(session?.secret ?? '')).toMatchObject({
      kind: 'session',
      tokenId: id,
      sessionId: session?.id,
      tokenName: 'laptop',
      isReadOnly: false,
      expiresAt: NOW + 30 * DAY,
    });
    const short = await make({ expiresAt: NOW + DAY, isReadOnly: true });
    const limited = await start(short.id);
    expect(await accounts.grantOf(limited?.secret ?? '')).toMatchObject({ isReadOnly: true, expiresAt: NOW + DAY });
    expect(await start(short.id, NOW + DAY)).toBeUndefined();
    for (const now of [NOW, NOW + DAY]) await accounts.revokeToken(id, now);
    expect(await accounts.tokens('yard', { ids: [id] })).toMatchObject([{ revokedAt: NOW }]);
    expect(await accounts.grantOf(session?.secret ?? '')).toBeUndefined();
    expect(await start(id)).toBeUndefined();
  });

  test('a code ends after a minute, or with its token, or once it was used', async () => {
    const { accounts, make } = await openAccounts();
    const { id } = await make();
    const use = async (now: number, code = '') =>
      (await accounts.startSessionWithCode(code, { now, name: null }))?.expiresAt;
    const code = async () => (await accounts.makeSession('code', id, { now: NOW, name: null }))?.secret;
    expect(await use(NOW + MINUTE, await code())).toBeUndefined();
    const good = await code();
    expect(await accounts.grantOf(good ?? '')).toBeUndefined();
    expect(await use(NOW + MINUTE - 1, good)).toBe(NOW + MINUTE - 1 + 30 * DAY);
    expect(await use(NOW, good)).toBeUndefined();
    const late = await code();
    await accounts.revokeToken(id, NOW);
    expect(await use(NOW, late)).toBeUndefined();
    expect((await accounts.tokens('yard')).filter(({ kind }) => kind === 'code')).toEqual([]);
  });

  test('a token has at most 50 sessions, and a further one ends the oldest', async () => {
    const { accounts, make, start } = await openAccounts();
    const [{ id }, other] = [await make(), await make()];
    const kept = await start(other.id, NOW - 1);
    const [oldest, next] = [await start(id, NOW), await start(id, NOW + 1)];
    for (let made = 2; made <= 50; made++) await start(id, NOW + made);
    expect(await accounts.grantOf(oldest?.secret ?? '')).toBeUndefined();
    for (const session of [next, kept]) expect(await accounts.grantOf(session?.secret ?? '')).toBeDefined();
    // Sessions that have ended are not kept for ever.
    await start(id, NOW + 60 * DAY);
    expect((await accounts.tokens('yard')).filter(({ parentId }) => parentId === id)).toHaveLength(1);
  });

  test('a share ends with its parent, also if it was made while that was revoked, or if it is no longer there', async () => {
    const { accounts, database, make } = await openAccounts();
    const parent = await make();
    await accounts.revokeToken(parent.id, NOW);
    const late = await make({ kind: 'share', isReadOnly: true });
    for (const parentId of [parent.id, 'gone']) {
      await database.run(query.updateTable('token').set({ parent_id: parentId }).where('id', '=', late.id));
      expect([await accounts.grantOf(late.token), await accounts.isRevoked(late.id)]).toEqual([undefined, true]);
    }
    await expect(make({ parentId: parent.id })).rejects.toMatchObject({ code: 'unauthorized' });
  });

  test('a token makes others until its account has 1,000 that have not ended', async () => {
    const { accounts, database, ids, make, addLike } = await openAccounts();
    const { id } = await make();
    const ended = (i: number) => (i % 2 === 0 ? { revoked_at: NOW } : { expires_at: NOW });
    await addLike(id, MAX_TOKENS + 8, (i) => (i < 10 ? ended(i) : {}));
    await make({ parentId: id, kind: 'share' });
    await expect(make({ parentId: id })).rejects.toMatchObject({ code: 'quota_exceeded' });
    const datasets = Array.from({ length: 101 }, () => 'wagons');
    await expect(make({ datasets })).rejects.toMatchObject({ code: 'invalid_field' });
    // The operator may make more, and other accounts are not concerned.
    await make();
    const other = await accounts.createToken('other', NOW);
    await accounts.createToken('other', NOW, { parentId: other.id });
    // Of those that end, as many are kept.
    await database.run(query.updateTable('token').set({ revoked_at: NOW }).where('id', 'like', 't%'));
    await pruneTokens(database, { now: NOW });
    expect((await ids()).filter((each) => each.startsWith('t'))).toHaveLength(MAX_TOKENS);
  });

  test('tokens, sessions, shares and codes are deleted 30 days after their end, and stay rejected', async () => {
    const { accounts, database, ids, make, start } = await openAccounts();
    const [kept, revoked] = [await make(), await make()];
    const expired = await make({ expiresAt: NOW + DAY });
    const share = await make({ kind: 'share', parentId: revoked.id, isReadOnly: true, expiresAt: NOW + 7 * DAY });
    const own = await make({ kind: 'share', parentId: kept.id, expiresAt: NOW + 1 });
    const session = (await start(revoked.id))!;
    const code = (await accounts.makeSession('code', kept.id, { now: NOW, name: null }))!;
    await accounts.revokeToken(revoked.id, NOW);
    // Made at the moment of the revocation.
    await database.run(query.updateTable('token').set({ revoked_at: null }).where('id', '=', share.id));

    await pruneTokens(database, { now: LATER - 1 });
    expect(await ids()).toEqual(expect.arrayContaining([revoked.id, share.id, own.id, session.id, code.id]));
    await pruneTokens(database, { now: LATER });
    expect(await ids()).toEqual(expect.arrayContaining([kept.id, expired.id, share.id, revoked.id]));
    expect(await ids()).not.toContain(session.id);
    // The share is deleted first, then the token that made it.
    for (const now of [LATER + 7 * DAY, LATER + 7 * DAY]) await pruneTokens(database, { now });
    const left = (await accounts.tokens('yard')).map(({ id }) => id);
    expect([left, await ids()]).toEqual([[kept.id], expect.not.arrayContaining([code.id])]);
    for (const { token, id } of [revoked, expired, share, own]) {
      expect([await accounts.grantOf(token), await accounts.isRevoked(id)]).toEqual([undefined, true]);
    }
    expect(await accounts.grantOf(session.secret)).toBeUndefined();
    expect(await accounts.grantOf(kept.token)).toMatchObject({ tokenId: kept.id });
    expect(await accounts.hasAccounts()).toBe(true);
  });
});
