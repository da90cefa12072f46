import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OpenCatalog, openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { dataFolderPaths } from '../../../src/storage/data-folder.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { temporaryFolder } from '../../harness/server.js';

const MINUTE = 60_000_000;
const DAY = 1440 * MINUTE;
const NOW = 1_800_000_000_000_000;

let folder: string;
let catalog: OpenCatalog;
beforeAll(async () => {
  folder = await temporaryFolder();
  catalog = await openCatalog({ dataFolder: folder, blobGrace: 0 });
});
afterAll(async () => {
  await catalog.close();
  await rm(folder, { recursive: true });
});

const start = (tokenId: string, now = NOW) => catalog.sessions.start(tokenId, { now, name: 'Firefox on Linux' });

test('a session ends after 30 days, or with its token, whose name its changes have', async () => {
  const { accounts } = catalog;
  const { id } = await accounts.createToken('studio', NOW, { name: 'laptop' });
  const session = await start(id);
  expect(session?.expiresAt).toBe(NOW + 30 * DAY);
  expect(await accounts.grantOf(session?.secret ?? '')).toMatchObject({
    kind: 'session',
    tokenId: id,
    sessionId: session?.id,
    tokenName: 'laptop',
    isReadOnly: false,
    expiresAt: NOW + 30 * DAY,
  });
  const short = await accounts.createToken('studio', NOW, { expiresAt: NOW + DAY, isReadOnly: true });
  const limited = await start(short.id);
  expect(await accounts.grantOf(limited?.secret ?? '')).toMatchObject({ isReadOnly: true, expiresAt: NOW + DAY });
  expect(await start(short.id, NOW + DAY)).toBeUndefined();
  await accounts.revokeToken(id, NOW);
  expect(await accounts.grantOf(session?.secret ?? '')).toBeUndefined();
  expect(await start(id)).toBeUndefined();
});

test('a code ends after a minute, or with its token, or once it was used', async () => {
  const { accounts, sessions } = catalog;
  const { id } = await accounts.createToken('studio', NOW);
  const use = async (now: number, code = '') => (await sessions.startWithCode(code, { now, name: null }))?.expiresAt;
  const code = async () => (await sessions.makeCode(id, NOW))?.secret;
  expect(await use(NOW + MINUTE, await code())).toBeUndefined();
  const good = await code();
  expect(await use(NOW + MINUTE - 1, good)).toBe(NOW + MINUTE - 1 + 30 * DAY);
  expect(await use(NOW, good)).toBeUndefined();
  const late = await code();
  await accounts.revokeToken(id, NOW);
  expect(await use(NOW, late)).toBeUndefined();
  expect((await accounts.tokens('studio')).filter(({ kind }) => kind === 'code')).toEqual([]);
});

test('what a token made is revoked with it, also what others of these made', async () => {
  const { accounts, database } = catalog;
  const [first, second, other] = await Promise.all([1, 2, 3].map(() => accounts.createToken('chain', NOW)));
  await database.query.updateTable('token').set({ parent_id: first!.id }).where('id', '=', second!.id).execute();
  const [session, kept] = [await start(second!.id), await start(other!.id)];
  await accounts.revokeToken(first!.id, NOW, { withMade: true });
  const grants = [second!.token, session!.secret, kept!.secret].map((secret) => accounts.grantOf(secret));
  expect((await Promise.all(grants)).map((grant) => grant?.tokenId)).toEqual([undefined, undefined, other!.id]);
  // A share that was made while its parent was revoked.
  const late = await accounts.createToken('chain', NOW, { kind: 'share', isReadOnly: true });
  await database.query.updateTable('token').set({ parent_id: first!.id }).where('id', '=', late.id).execute();
  expect(await accounts.grantOf(late.token)).toBeUndefined();
});

test('a token that was revoked makes no other', async () => {
  const { accounts } = catalog;
  const { id } = await accounts.createToken('stolen', NOW);
  await accounts.revokeToken(id, NOW, { withMade: true });
  await expect(accounts.createToken('stolen', NOW, { parentId: id })).rejects.toMatchObject({ code: 'unauthorized' });
  expect(await accounts.tokens('stolen')).toHaveLength(1);
});

test('a wrong code waits for no writer', async () => {
  const writer = await openSqlite(dataFolderPaths(folder).catalog);
  try {
    await writer.transact({ isDurable: false }, async ({ send }) => {
      await send([writer.query.updateTable('token').set({ last_used_at: NOW }).where('id', '=', 'none')]);
      const wrong = `tyc_${'x'.repeat(43)}`;
      expect(await catalog.sessions.startWithCode(wrong, { now: NOW, name: null })).toBeUndefined();
    });
  } finally {
    await writer.close();
  }
});

test('a token has at most 50 sessions, and a further one ends the oldest', async () => {
  const { accounts } = catalog;
  const { id } = await accounts.createToken('many', NOW);
  const [oldest, next] = [await start(id, NOW), await start(id, NOW + 1)];
  for (let made = 2; made <= 50; made++) await start(id, NOW + made);
  expect(await accounts.grantOf(oldest?.secret ?? '')).toBeUndefined();
  expect(await accounts.grantOf(next?.secret ?? '')).toBeDefined();
  // Sessions that have ended are not kept for ever.
  await start(id, NOW + 60 * DAY);
  expect((await accounts.tokens('many')).map(({ kind }) => kind)).toEqual(['token', 'session']);
});
