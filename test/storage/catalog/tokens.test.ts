import { sql } from 'kysely';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';

import { Accounts } from '../../../src/storage/catalog/accounts/accounts.js';
import {
  ENDED_TOKEN_LIFETIME,
  MAX_ENDED_TOKENS,
  pruneTokens,
} from '../../../src/storage/catalog/accounts/prune-tokens.js';
import { Sessions } from '../../../src/storage/catalog/accounts/sessions.js';
import { openPostgres } from '../../../src/storage/database/postgres.js';
import { whyNoPostgres } from '../../harness/available.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { plansOfReads, raw } from '../../harness/query-plans.js';
import { databaseForTest } from '../../harness/postgres.js';
import { eventually } from '../../harness/server.js';

const DAY = 86_400_000_000;
const NOW = 1_800_000_000_000_000;
const LATER = NOW + ENDED_TOKEN_LIFETIME;

onEach(catalogs, (open) => {
  const openAccounts = async () => {
    const { accounts, database } = await open();
    const ids = async () => (await database.query.selectFrom('token').select('id').execute()).map(({ id }) => id);
    const make = async (rights: Parameters<Accounts['createToken']>[2] = {}) =>
      accounts.createToken('yard', NOW, rights);
    return { accounts, sessions: new Sessions(database), database, ids, make };
  };

  test('tokens, sessions, shares and codes are deleted 30 days after their end, and stay rejected', async () => {
    const { accounts, sessions, database, ids, make } = await openAccounts();
    const [kept, revoked] = [await make(), await make()];
    const expired = await make({ expiresAt: NOW + DAY });
    const share = await make({ kind: 'share', parentId: revoked.id, isReadOnly: true });
    const own = await make({ kind: 'share', parentId: kept.id, expiresAt: NOW + 1 });
    const session = (await sessions.start(revoked.id, { now: NOW, name: null }))!;
    const code = (await sessions.makeCode(kept.id, NOW))!;
    await accounts.revokeToken(revoked.id, NOW);
    // As of a share that was made at the moment of the revocation.
    await database.query.updateTable('token').set({ revoked_at: null }).where('id', '=', share.id).execute();

    await pruneTokens(database, { now: LATER - 1 });
    expect(await ids()).toEqual(expect.arrayContaining([revoked.id, share.id, own.id, session.id, code.id]));
    await pruneTokens(database, { now: LATER });
    expect(await ids()).toEqual(expect.arrayContaining([kept.id, expired.id, own.id]));
    expect(await ids()).not.toEqual(expect.arrayContaining([revoked.id]));
    await pruneTokens(database, { now: LATER + DAY });
    const left = (await accounts.tokens('yard')).map(({ id }) => id);
    expect([left, await ids()]).toEqual([[kept.id], expect.not.arrayContaining([code.id])]);
    for (const { token, id } of [revoked, expired, share, own]) {
      expect([await accounts.grantOf(token), await accounts.isRevoked(id)]).toEqual([undefined, true]);
    }
    expect(await accounts.grantOf(session.secret)).toBeUndefined();
    expect(await accounts.grantOf(kept.token)).toMatchObject({ tokenId: kept.id });
    await pruneTokens(database, { now: LATER + DAY });
    expect(await accounts.hasAccounts()).toBe(true);
  });

  test('a list names the datasets that tokens are bound to, also many of them', async () => {
    const { accounts, catalog, accountId } = await open();
    const ids = Array.from({ length: 100 }, (_, i) => `bound-${i}`);
    for (const id of ids) await catalog.createDataset({ id, accountId, name: `name of ${id}`, createdAt: NOW });
    const name = (await accounts.tokens())[0]!.account;
    for (let i = 0; i < 60; i++) await accounts.createToken(name, NOW + i, { datasets: ids });
    const listed = await accounts.tokens(name, { kind: 'token' });
    const bound = listed.filter(({ datasets }) => datasets !== null);
    expect(bound).toHaveLength(60);
    for (const { datasets } of bound) expect(datasets).toEqual(ids.map((id) => ({ id, name: `name of ${id}` })));
    expect(await accounts.tokens(name, { kind: 'share' })).toEqual([]);
  });

  test('an account has at most 1,000 sessions, and a further one ends the oldest of the token that has the most', async () => {
    const { accounts, sessions, database, ids, make } = await openAccounts();
    const { query } = database;
    const countsOf = async () => {
      const select = query.selectFrom('token').select(({ fn }) => ['parent_id', fn.countAll<number>().as('count')]);
      const rows = await select.where('kind', '=', 'session').groupBy('parent_id').execute();
      return new Map(rows.map(({ parent_id, count }) => [parent_id, Number(count)]));
    };
    const addSessions = async (parentId: string, { count, from }: { count: number; from: number }) => {
      const parent = await query.selectFrom('token').selectAll().where('id', '=', parentId).executeTakeFirstOrThrow();
      const rows = Array.from({ length: count }, (_, i) => ({
        ...{ ...parent, kind: 'session', parent_id: parentId, expires_at: LATER },
        ...{ id: `${parentId}-${from + i}`, digest: `${parentId}-${from + i}`, created_at: from + i },
      }));
      await query.insertInto('token').values(rows).execute();
    };
    const totalOf = (counts: Map<string | null, number>) => [...counts.values()].reduce((sum, count) => sum + count, 0);
    const [owner, lesser, fewer] = [await make(), await make({ isReadOnly: true }), await make()];
    const start = (now: number) => sessions.start(lesser.id, { now, name: null });
    await addSessions(owner.id, { count: 10, from: 1 });
    await addSessions(fewer.id, { count: 40, from: 100 });
    const most: string[] = [];
    for (let i = 1; i <= 19; i++) {
      most.push((await make()).id);
      await addSessions(most.at(-1)!, { count: 50, from: 1000 * i });
    }
    const other = await accounts.createToken('other', NOW);
    await sessions.start(other.id, { now: 1, name: null });

    const session = await start(NOW);
    expect([...(await countsOf())].filter(([, count]) => count === 49)).toEqual([[most[0], 49]]);
    expect(await ids()).not.toContain(`${most[0]}-1000`);
    expect(await accounts.grantOf(session!.secret)).toBeDefined();
    for (let i = 1; i < 60; i++) await start(NOW + i);
    const counts = await countsOf();
    expect([totalOf(counts), counts.get(owner.id), counts.get(fewer.id)]).toEqual([1001, 10, 40]);
    for (const id of [...most, lesser.id]) expect([47, 48]).toContain(counts.get(id));

    // A catalog of an earlier version has more.
    for (let i = 1; i <= 5; i++) await addSessions((await make()).id, { count: 50, from: 100_000 * i });
    for (const total of [1152, 1053, 1001]) {
      await start(NOW + total);
      expect(totalOf(await countsOf())).toBe(total);
    }
    expect((await countsOf()).get(owner.id)).toBe(10);
  });

  test('what is counted or listed of an account is found in an index alone', async () => {
    const { database, make } = await openAccounts();
    const { id } = await make();
    if (database.hasRowLocks) await database.query.executeQuery(raw('vacuum analyze token').compile());
    const plans = await plansOfReads(database, 'token', async (watched) => {
      const accounts = new Accounts(watched);
      await accounts.createToken('yard', NOW, { parentId: id });
      await accounts.tokens('yard', { isUnrevoked: true });
      await new Sessions(watched).start(id, { now: NOW, name: null });
    });
    const byAccount = plans.filter((plan) => plan.includes('token_account'));
    for (const plan of byAccount)
      expect(plan).toMatch(/COVERING INDEX token_account|Index Only Scan using token_account/);
    // Tokens are counted, listed, and their sessions limited; the last two are subqueries, whose plans are here twice.
    expect(byAccount).toHaveLength(5);
  });

  test('a share whose maker is no longer there is not valid', async () => {
    const { accounts, database, make } = await openAccounts();
    const maker = await make();
    const share = await make({ kind: 'share', parentId: maker.id, isReadOnly: true });
    expect(await accounts.grantOf(share.token)).toBeDefined();
    await database.query.deleteFrom('token').where('id', '=', maker.id).execute();
    expect([await accounts.grantOf(share.token), await accounts.isRevoked(share.id)]).toEqual([undefined, true]);
  });

  test('a token whose maker was deleted ends with the one that made that', async () => {
    const { accounts, database, ids, make } = await openAccounts();
    const first = await make();
    const second = await make({ parentId: first.id });
    const third = await make({ parentId: second.id });
    const fourth = await make({ parentId: third.id });
    await accounts.revokeToken(second.id, NOW);
    await accounts.revokeToken(third.id, NOW);
    await pruneTokens(database, { now: LATER });
    expect(await ids()).not.toEqual(expect.arrayContaining([second.id]));
    const [left] = await accounts.tokens('yard', { ids: [fourth.id] });
    expect(left).toMatchObject({ parentId: first.id });
    expect((await accounts.revokeToken(first.id, LATER, { withMade: true })).sort()).toEqual(
      [first.id, fourth.id].sort(),
    );
    expect(await accounts.grantOf(fourth.token)).toBeUndefined();
  });

  test('of more than a thousand that ended, the newest are kept, and all that have not ended', async () => {
    const { accounts, database, ids, make } = await openAccounts();
    const [valid, other] = [await make(), await accounts.createToken('other', NOW)];
    await accounts.revokeToken(other.id, NOW);
    const { account_id } = await database.query
      .selectFrom('token')
      .select('account_id')
      .where('id', '=', valid.id)
      .executeTakeFirstOrThrow();
    const ended = MAX_ENDED_TOKENS + 700;
    for (let from = 0; from < ended; from += 100) {
      const rows = Array.from({ length: 100 }, (_, i) => ({
        ...{ id: `t${((from + i) * 7919) % ended}`, account_id, digest: `d${from + i}`, hint: 'ty_', name: null },
        ...{ created_at: NOW, revoked_at: NOW + (((from + i) * 7919) % ended), expires_at: null, is_read_only: 0 },
        ...{ dataset_ids: null, last_used_at: null, kind: 'token', parent_id: null },
      }));
      await database.query.insertInto('token').values(rows).execute();
    }
    await pruneTokens(database, { now: NOW + DAY });
    const left = await ids();
    expect(left).toEqual(expect.arrayContaining([valid.id, other.id, 't700', `t${ended - 1}`]));
    expect([left.length, left.includes('t699')]).toEqual([MAX_ENDED_TOKENS + 2 + 1, false]);
  });
});

test.skipIf(whyNoPostgres() !== undefined)(
  'a token that is made while the maker of its maker is revoked with all that it made, does not survive',
  async () => {
    const url = await databaseForTest();
    const [making, revoking] = [await openPostgres(url), await openPostgres(url)];
    const blocking = new pg.Client({ connectionString: url });
    await blocking.connect();
    onTestFinished(async () => {
      await blocking.end();
      await Promise.all([making.close(), revoking.close()]);
    });
    const accounts = new Accounts(making);
    const first = await accounts.createToken('yard', NOW);
    const maker = await accounts.createToken('yard', NOW, { parentId: first.id });

    // The new token's reference to its account waits for this lock; its maker was read before.
    await blocking.query('begin');
    await blocking.query('select id from account for update');
    const made = accounts.createToken('yard', NOW, { parentId: maker.id }).catch(() => undefined);
    const waiting = async () => {
      const { rows } = await sql<{ count: number }>`
        select count(*) as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      `.execute(making.query);
      return rows[0]?.count;
    };
    await eventually(async () => ((await waiting()) === 1 ? true : undefined));
    let isRevoked = false;
    const revocation = new Accounts(revoking).revokeToken(first.id, NOW, { withMade: true });
    const revoked = revocation.finally(() => {
      isRevoked = true;
    });
    await eventually(async () => (isRevoked || (await waiting()) === 2 ? true : undefined));
    await blocking.query('rollback');

    await revoked;
    const late = await made;
    expect(late === undefined ? undefined : await accounts.grantOf(late.token)).toBeUndefined();
    for (const { token } of [first, maker]) expect(await accounts.grantOf(token)).toBeUndefined();
  },
);
