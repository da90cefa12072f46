import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { type RawBuilder, type Selectable, sql } from 'kysely';
import { MAX_BOUND_DATASETS } from '../../api/limits.js';
import type { Usage } from '../../dataset/counts.js';
import { type Micros, MICROS_PER_SECOND, type PendingFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { stemOf } from '../../dataset/media.js';
import { type Database, FOR_UPDATE, nullColumnOf, query, type Transaction } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { rowChunksOf } from './rows.js';

/**
 * An access token, a session of the page in a cookie, a link to one dataset, or a one-time code of a sign-in link. The parent
 * of each is the token that made it.
 */
type TokenKind = 'token' | 'session' | 'share' | 'code';

/** The rights of a request. */
export interface Grant {
  readonly kind: TokenKind;
  /** The token, or the token that started the session; it is the parent of what the request makes. */
  readonly tokenId: string;
  /** `null` without a session. */
  readonly sessionId: string | null;
  /** The name of the token or its first characters. */
  readonly tokenName: string;
  readonly accountId: string;
  readonly accountName: string;
  readonly isReadOnly: boolean;
  /** `null` for all datasets of the account. */
  readonly datasetIds: readonly string[] | null;
  /** `null` if it does not expire. */
  readonly expiresAt: Micros | null;
}

export function isExpired({ expiresAt }: Pick<Grant, 'expiresAt'>, now: Micros): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** By default a token has all rights and does not expire. */
export interface TokenRights {
  readonly kind?: 'token' | 'share';
  /** The token that makes it. */
  readonly parentId?: string;
  readonly expiresAt?: Micros | null;
  readonly isReadOnly?: boolean;
  /** Names or ids. */
  readonly datasets?: readonly string[] | undefined;
  /** The name in the history; the first characters of the token by default. */
  readonly name?: string | undefined;
}

/** The secret can't be read again. */
export interface NewSession {
  readonly id: string;
  readonly secret: string;
  readonly expiresAt: Micros;
}

/** Without the secret. */
export type TokenSummary = ReturnType<typeof summaryOf>;

/** `withoutTokens` hides secrets with these prefixes in the log and in messages. */
const PREFIXES: Record<TokenKind, string> = { token: 'ty_', share: 'ty_', session: 'tys_', code: 'tyc_' };

const HINT_LENGTH = 7;

function newToken(
  token: Omit<Schema['token'], 'id' | 'digest' | 'hint' | 'revoked_at' | 'last_used_at' | 'kind'> & { kind: TokenKind },
): { secret: string; row: Schema['token'] } {
  const secret = PREFIXES[token.kind] + randomBytes(32).toString('base64url');
  // A person types the id of a token to revoke it; sessions are many.
  const id = randomBytes(token.kind === 'token' ? 4 : 8).toString('hex');
  const digest = digestOfSecret(secret);
  const hint = secret.slice(0, HINT_LENGTH);
  return { secret, row: { ...token, id, digest, hint, revoked_at: null, last_used_at: null } };
}

function digestOfSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function datasetIdsIn(json: string | null): readonly string[] | null {
  return json === null ? null : JSON.parse(json);
}

/** Tokens and shares that the tokens of an account have made, and that have not ended. */
const MAX_TOKENS = 1000;

/** Sessions, and codes, of a token; a further one ends the oldest. */
const MAX_SESSIONS = 50;

/** A page that stays open for longer asks to sign in again. A code opens a link at once. */
const LIFETIMES: Record<'session' | 'code', Micros> = {
  session: 30 * 86_400 * MICROS_PER_SECOND,
  code: 60 * MICROS_PER_SECOND,
};

const NEVER = Number.POSITIVE_INFINITY;

/** How long `token list` shows an ended token; longer than any link of a token is valid. */
export const ENDED_TOKEN_LIFETIME: Micros = 30 * 86_400 * MICROS_PER_SECOND;

const NAME = /^[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd} ._@-]{0,127}$/u;
const NAME_RULE =
  'Begin with a letter or a digit, then use letters, digits, spaces and . _ - @, at most 128 characters.';

export interface RevocationOptions {
  readonly accountId?: string;
  /** Revokes only a share of this dataset. */
  readonly sharedDatasetId?: string;
  /** Whether tokens that it made end too, as its sessions and shares do. */
  readonly withMade?: boolean;
}

/**
 * Accounts, and the tokens, sessions, shares and codes that authenticate them. The database has the SHA-256 of each secret,
 * which needs no salt and no constant-time lookup, since a secret has 256 random bits.
 */
export class Accounts {
  readonly #db: Database;
  /** By token id, until `saveLastUses` writes them. */
  readonly #lastUses = new Map<string, Micros>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** What a token allows; `undefined` if it is unknown, revoked or a code. The caller checks `expiresAt`. */
  async grantOf(secret: string): Promise<Grant | undefined> {
    const [[row]] = await this.#db.read([tokenByDigest(digestOfSecret(secret))]);
    if (row === undefined) return undefined;
    const { id, name, hint, parent_id, parent_name, parent_hint } = row;
    const isSession = row.kind === 'session' && parent_id !== null;
    const token = isSession ? { id: parent_id, name: parent_name, hint: parent_hint } : { id, name, hint };
    return {
      kind: row.kind as TokenKind,
      tokenId: token.id,
      sessionId: isSession ? id : null,
      tokenName: token.name ?? `${token.hint}…`,
      accountId: row.account_id,
      accountName: row.account_name,
      isReadOnly: row.is_read_only === 1,
      datasetIds: datasetIdsIn(row.dataset_ids),
      expiresAt: row.expires_at,
    };
  }

  /** Whether a token, or the parent of a session or share, was revoked. An unknown one counts as revoked. */
  async isRevoked(tokenId: string): Promise<boolean> {
    const [valid] = await this.#db.read([sql`select 1 from ${UNREVOKED} and token.id = ${tokenId}`]);
    return valid.length === 0;
  }

  /** Remembers a use, so that no request waits for its write. */
  markUsed(tokenId: string, now: Micros): void {
    this.#lastUses.set(tokenId, now);
  }

  /** Writes the last uses, not durably. After a failure they stay. */
  async saveLastUses(): Promise<void> {
    const { transact } = this.#db;
    // In the order of ids, so that instances lock rows in one order.
    const uses = [...this.#lastUses].sort(([a], [b]) => (a < b ? -1 : 1));
    if (uses.length === 0) return;
    const updates = uses.map(([id, usedAt]) => {
      const isLater = sql`coalesce(last_used_at, 0) < ${usedAt}`;
      return sql<never>`update token set last_used_at = ${usedAt} where id = ${id} and ${isLater}`;
    });
    await transact({ isDurable: false }, ({ commit }) => commit(updates));
    for (const [id, usedAt] of uses) if (this.#lastUses.get(id) === usedAt) this.#lastUses.delete(id);
  }

  async usage(accountId: string): Promise<AccountUsage & { readonly historyBytes: number }> {
    const [[usage]] = await this.#db.read([
      sql<AccountUsage & { historyBytes: number }>`
        select datasets, files, bytes, history_bytes as "historyBytes" from account where id = ${accountId}`,
    ]);
    return usage!;
  }

  /** True once a token was made, even if it was deleted since. */
  async hasAccounts(): Promise<boolean> {
    return (await this.#db.run(query.selectFrom('account').select('id').limit(1))).length > 0;
  }

  /**
   * Creates a token, and its account if there is none. It does not outlive the token that makes it.
   *
   * @returns the token in clear text, which can't be read again
   * @throws ServiceError `invalid_name`, `dataset_not_found`, `quota_exceeded`; `unauthorized` if the maker was revoked
   */
  async createToken(
    accountName: string,
    now: Micros,
    { kind = 'token', parentId, expiresAt = null, isReadOnly = false, datasets, name: tokenName }: TokenRights = {},
  ): Promise<{ token: string; id: string }> {
    const name = accountName.trim().normalize('NFC');
    requireName('account', name);
    if (tokenName !== undefined) requireName('token', tokenName);
    const datasetIds = datasets === undefined ? null : await this.#datasetIdsOf(name, datasets);
    // Also locks an existing account, so that a revocation of the maker comes before or after.
    const account = sql<{ id: string }>`
      insert into account (id, name, created_at) values (${randomUUID()}, ${name}, ${now})
      on conflict (name) do update set created_at = account.created_at returning id`;
    return this.#db.transact({ isDurable: true }, async ({ send, commit }) => {
      const [[found]] = await send([account]);
      const accountId = found!.id;
      const maker = parentId === undefined ? null : { accountId, makerId: parentId, now };
      const makerEndsAt = maker && (await this.#endOfMaker(send, maker));
      const endsAt = Math.min(expiresAt ?? NEVER, makerEndsAt ?? NEVER);
      const { secret, row } = newToken({
        ...{ kind, account_id: accountId, name: tokenName ?? null, created_at: now, parent_id: parentId ?? null },
        ...{ expires_at: endsAt === NEVER ? null : endsAt, is_read_only: isReadOnly ? 1 : 0 },
        dataset_ids: datasetIds && JSON.stringify(datasetIds),
      });
      await commit([query.insertInto('token').values(row)]);
      return { token: secret, id: row.id };
    });
  }

  /** Makes a session or a one-time code with the rights of a token; `undefined` if the token has ended. */
  makeSession(
    kind: 'session' | 'code',
    tokenId: string,
    { now, name }: { now: Micros; name: string | null },
  ): Promise<NewSession | undefined> {
    return this.#db.transact({ isDurable: true }, async ({ send, commit }) => {
      const [[token]] = await send([
        sql<Pick<Schema['token'], 'account_id' | 'expires_at' | 'is_read_only' | 'dataset_ids'>>`
          select account_id, expires_at, is_read_only, dataset_ids from token where id = ${tokenId} and ${isValid(now)}`,
      ]);
      if (token === undefined) return undefined;
      const expiresAt = Math.min(now + LIFETIMES[kind], token.expires_at ?? NEVER);
      const made = { kind, name, created_at: now, expires_at: expiresAt, parent_id: tokenId };
      const { secret, row } = newToken({ ...token, ...made });
      const ofToken = sql`from token where parent_id = ${tokenId} and kind = ${kind}`;
      const newest = sql`select id ${ofToken} and ${isValid(now)} order by created_at desc limit ${sql.lit(MAX_SESSIONS)}`;
      await commit([query.insertInto('token').values(row), sql`delete ${ofToken} and id not in (${newest})`]);
      return { id: row.id, secret, expiresAt };
    });
  }

  /** Starts the session of a code; `undefined` if the code is unknown, used or expired, or its token has ended. */
  async startSessionWithCode(
    code: string,
    options: { now: Micros; name: string | null },
  ): Promise<NewSession | undefined> {
    const valid = sql`select id from token where digest = ${digestOfSecret(code)} and kind = 'code' and ${isValid(options.now)}`;
    // An unknown code costs no write.
    const [found] = await this.#db.read([valid]);
    if (found.length === 0) return undefined;
    // One of several requests with a code deletes the row.
    const deletion = sql<{ parent_id: string | null }>`delete from token where id in (${valid}) returning parent_id`;
    const [used] = await this.#db.run(deletion);
    return used?.parent_id == null ? undefined : this.makeSession('session', used.parent_id, options);
  }

  /** Tokens, sessions and shares of all accounts or of one, oldest first. @throws ServiceError `account_not_found` */
  async tokens(
    accountName?: string,
    { ids, kind, isUnrevoked = false }: { ids?: readonly string[]; kind?: TokenKind; isUnrevoked?: boolean } = {},
  ): Promise<TokenSummary[]> {
    const conditions = [
      ...(accountName === undefined ? [] : [sql`token.account_id = ${await this.#accountIdOf(accountName)}`]),
      ...(ids === undefined ? [] : [sql`token.id in (${sql.join(ids)})`]),
      ...(kind === undefined ? [] : [sql`token.kind = ${kind}`]),
      ...(isUnrevoked ? [sql`token.revoked_at is null`] : []),
    ];
    const [rows] = await this.#db.read([
      sql<Schema['token'] & { account_name: string }>`
        select token.*, account.name as account_name from token join account on account.id = token.account_id
        where ${sql.join([sql`token.kind <> 'code'`, ...conditions], sql` and `)} order by token.created_at, token.id`,
    ]);
    const datasetIds = rows.flatMap((row) => datasetIdsIn(row.dataset_ids) ?? []);
    const datasets = query.selectFrom('dataset').select(['id', 'name']);
    const chunks = rowChunksOf([...new Set(datasetIds)]);
    const found = await this.#db.read(chunks.map((chunk) => datasets.where('id', 'in', chunk)));
    const names = new Map(found.flat().map(({ id, name }) => [id, name]));
    return rows.map((row) => summaryOf(row, names));
  }

  /** Revokes a token with its sessions and shares. @returns the ids of all that ended @throws ServiceError `token_not_found` */
  async revokeToken(
    id: string,
    now: Micros,
    { accountId, sharedDatasetId, withMade = false }: RevocationOptions = {},
  ): Promise<string[]> {
    // Locks the account: the token might make another one meanwhile.
    const account = sql`select id from account where id = (select account_id from token where id = ${id}) ${FOR_UPDATE}`;
    const ofAccount = accountId === undefined ? sql`` : sql`and account_id = ${accountId}`;
    const ofDataset =
      sharedDatasetId === undefined
        ? sql``
        : sql`and kind = 'share' and dataset_ids = ${JSON.stringify([sharedDatasetId])}`;
    // Those that it made, directly or through others.
    const revocation = sql<{ id: string }>`
      with recursive made(id) as (
        select id from token where id = ${id} and kind <> 'code' ${ofAccount} ${ofDataset}
        union
        select token.id from token join made on made.id = token.parent_id ${withMade ? sql`` : sql`where kind <> 'token'`}
      )
      update token set revoked_at = coalesce(revoked_at, ${now}) where id in (select id from made) returning id`;
    const [, revoked] = await this.#db.transact({ isDurable: true }, ({ commit }) => commit([account, revocation]));
    if (revoked.length > 0) return revoked.map((row) => row.id);
    const [noun, advice] =
      accountId === undefined
        ? ['token', ' To list all tokens, run: trainyard token list']
        : ['token, session or share', ''];
    throw new ServiceError('token_not_found', `There is no ${noun} ${id}.${advice}`);
  }

  /** @throws ServiceError `quota_exceeded`; `unauthorized` if the maker was revoked */
  async #endOfMaker(
    send: Transaction['send'],
    { accountId, makerId, now }: { accountId: string; makerId: string; now: Micros },
  ): Promise<Micros | null> {
    const [[maker], [made]] = await send([
      sql<{ expires_at: Micros | null }>`
        select expires_at from token where id = ${makerId} and revoked_at is null`,
      sql<{ count: number }>`select count(*) as count from token
        where account_id = ${accountId} and kind in ('token', 'share') and ${isValid(now)}`,
    ]);
    if (maker === undefined) throw new ServiceError('unauthorized', 'The token was revoked.');
    if (Number(made?.count) >= MAX_TOKENS) {
      const message = `The account has ${MAX_TOKENS} tokens and shares, the most that it can have. Revoke some that are no longer needed.`;
      throw new ServiceError('quota_exceeded', message);
    }
    return maker.expires_at;
  }

  async #accountIdOf(name: string): Promise<string> {
    const [found] = await this.#db.run(query.selectFrom('account').select('id').where('name', '=', name));
    if (found === undefined) throw new ServiceError('account_not_found', `There is no account named "${name}".`);
    return found.id;
  }

  async #datasetIdsOf(accountName: string, namesOrIds: readonly string[]): Promise<string[]> {
    if (namesOrIds.length > MAX_BOUND_DATASETS) {
      const message = `A token can be bound to at most ${MAX_BOUND_DATASETS} datasets, not ${namesOrIds.length}.`;
      throw new ServiceError('invalid_field', message);
    }
    const wanted = namesOrIds.map((nameOrId) => nameOrId.trim().normalize('NFC'));
    const names = sql.join(wanted);
    const [rows] = await this.#db.read([
      sql<{ id: string; name: string }>`
        select dataset.id, dataset.name from dataset join account on account.id = dataset.account_id
        where account.name = ${accountName} and (dataset.name in (${names}) or dataset.id in (${names}))`,
    ]);
    const ids = wanted.map((text) => {
      // An id wins over a name.
      const found = rows.find(({ id }) => id === text) ?? rows.find(({ name }) => name === text);
      if (found !== undefined) return found.id;
      const message = `The account "${accountName}" has no dataset "${text}". Create it first: a token is bound to its id.`;
      throw new ServiceError('dataset_not_found', message);
    });
    return [...new Set(ids)];
  }
}

/**
 * Deletes tokens, sessions, shares and codes 30 days after their end, or earlier if `MAX_TOKENS` of their account ended later; an
 * unknown token counts as revoked. A token stays as long as those that it made, so that its revocation reaches them.
 */
export async function pruneTokens({ transact }: Database, { now }: { now: Micros }): Promise<void> {
  const endedAt = sql`case when revoked_at is null or expires_at < revoked_at then expires_at else revoked_at end`;
  const position = sql`row_number() over (partition by account_id order by ${endedAt} desc, id)`;
  const deletion = sql<never>`
    delete from token where id in (
      select id from (select id, ${endedAt} as ended_at, ${position} as position from token where ${endedAt} <= ${now}) as ended
      where ended_at <= ${now - ENDED_TOKEN_LIFETIME} or position > ${MAX_TOKENS}
    ) and id not in (select parent_id from token where parent_id is not null)`;
  // If a power cut undoes it, a later run does it again.
  await transact({ isDurable: false }, ({ commit }) => commit([deletion]));
}

function isValid(now: Micros) {
  return sql<boolean>`revoked_at is null and (expires_at is null or expires_at > ${now})`;
}

/** All but access tokens end with their parent. */
const UNREVOKED = sql`token left join token as parent on parent.id = token.parent_id
  join account on account.id = token.account_id
  where token.revoked_at is null and (token.kind = 'token' or (parent.id is not null and parent.revoked_at is null))`;

interface GrantRow extends Omit<Schema['token'], 'digest' | 'created_at' | 'revoked_at' | 'last_used_at'> {
  readonly account_name: string;
  readonly parent_name: string | null;
  readonly parent_hint: string | null;
}

function tokenByDigest(digest: string) {
  return sql<GrantRow>`
    select token.id, token.kind, token.name, token.hint, token.is_read_only, token.dataset_ids, token.expires_at,
      token.account_id, account.name as account_name,
      parent.id as parent_id, parent.name as parent_name, parent.hint as parent_hint
    from ${UNREVOKED} and token.digest = ${digest} and token.kind <> 'code'`;
}

/** @param names of the datasets, by id */
function summaryOf(
  row: Selectable<Schema['token']> & { readonly account_name: string },
  names: ReadonlyMap<string, string>,
) {
  return {
    ...{ id: row.id, kind: row.kind as TokenKind, parentId: row.parent_id, account: row.account_name, hint: row.hint },
    ...{ name: row.name, createdAt: row.created_at, revokedAt: row.revoked_at, expiresAt: row.expires_at },
    ...{ lastUsedAt: row.last_used_at, isReadOnly: row.is_read_only === 1 },
    /** `null` for all datasets; a deleted one has no name. */
    datasets: datasetIdsIn(row.dataset_ids)?.map((id) => ({ id, name: names.get(id) ?? null })) ?? null,
  };
}

function requireName(what: 'account' | 'token', name: string): void {
  if (NAME.test(name)) return;
  throw new ServiceError('invalid_name', `The ${what} name ${JSON.stringify(name)} is not valid. ${NAME_RULE}`);
}

export interface AccountUsage extends Usage {
  readonly datasets: number;
}

/** The limits of an account and of a dataset. */
export interface AccountLimits extends AccountUsage {
  readonly datasetFiles: number;
}

const UNLIMITED = Number.MAX_SAFE_INTEGER;

export const NO_LIMITS: AccountLimits = {
  datasets: UNLIMITED,
  files: UNLIMITED,
  bytes: UNLIMITED,
  datasetFiles: UNLIMITED,
};

/**
 * Adds to the totals of an account. A total that grows beyond its limit becomes null, which the column rejects, so that the
 * transaction fails. Run it after the lock of a dataset: transactions lock in one order.
 *
 * @param change.historyBytes have no limit here: retention deletes the oldest revisions
 */
export function addUsage(change: {
  accountId: string;
  added: Partial<AccountUsage>;
  historyBytes?: number;
  limits: AccountLimits;
}) {
  const { accountId, added, historyBytes = 0, limits } = change;
  const { datasets = 0, files = 0, bytes = 0 } = added;
  if (datasets === 0 && files === 0 && bytes === 0 && historyBytes === 0) return [];
  const update = sql<never>`
    update account set
      datasets = ${increased('datasets', datasets, limits.datasets)},
      files = ${increased('files', files, limits.files)},
      bytes = ${increased('bytes', bytes, limits.bytes)},
      history_bytes = history_bytes + ${bigint(historyBytes)}
    where id = ${accountId}`;
  return [update];
}

function increased(column: keyof AccountUsage, added: number, max: number) {
  const total = sql`${sql.ref(column)} + ${bigint(added)}`;
  return sql<number>`case when ${bigint(added)} > 0 and ${total} > ${bigint(max)} then null else ${total} end`;
}

/** Postgres can't infer the type of a parameter that is only compared. */
function bigint(value: number) {
  return sql`cast(${value} as bigint)`;
}

/** Counts the name of a direct upload unless the dataset has it; fails as `addUsage`, also without a byte left. */
export function addDirectUpload({
  accountId,
  file,
  limits,
}: {
  accountId: string;
  file: PendingFile;
  limits: AccountLimits;
}) {
  const { datasetId, filename } = file;
  return sql<never>`
    update account set
      files = case when files >= ${bigint(limits.files)} then null else files + 1 end,
      bytes = case when bytes >= ${bigint(limits.bytes)} then null else bytes end
    where id = ${accountId}
      and exists (select 1 from dataset where id = ${datasetId} and account_id = ${accountId})
      and not exists (
        select 1 from file where dataset_id = ${datasetId} and stem = ${stemOf(filename)} and filename = ${filename}
      )`;
}

/** What a dataset adds to the totals of its account. */
export function usageOfDataset(id: string) {
  return sql<{ files: number; bytes: number; historyBytes: number }>`
    select count(*) as files, cast(coalesce(sum(name.bytes), 0) as bigint) as bytes,
      cast((${historyBytesOf(sql`past_file.dataset_id = ${id}`)}) as bigint) as "historyBytes"
    from (
      select max(coalesce(size_bytes, expected_bytes, 0)) as bytes from file where dataset_id = ${id} group by filename
    ) as name`;
}

/** The size of the blobs that only the history has. */
export function historyBytesOf(condition: RawBuilder<unknown>) {
  return sql<number>`
    select coalesce(sum(past.size_bytes), 0) from (
      select distinct id, size_bytes from past_file
      where ${condition} and not exists (select 1 from file where file.id = past_file.id)
    ) as past
  `;
}

export function datasetFull({ files, added, max }: { files: number; added: number; max: number }): ServiceError {
  const more = added === 1 ? 'one more' : `${added} more`;
  const advice = 'Delete files or withdraw uploads that are no longer needed, or upload the others to another dataset.';
  const message = `The dataset has ${files} files, and ${more} would exceed the limit of ${max} files of a dataset (--max-dataset-files). ${advice}`;
  return new ServiceError('quota_exceeded', message);
}

/** The error for an exceeded total of an account; other errors are returned unchanged. */
export function quotaErrorOf(error: unknown, limits: AccountLimits): unknown {
  const total = exceededTotal(error);
  if (total === undefined) return error;
  const advice =
    total === 'bytes'
      ? 'Delete files that are no longer needed, withdraw uploads that never ended, or ask the operator of this server for more.'
      : 'Delete some that are no longer needed, or ask the operator of this server for more.';
  const limit = `${limits[total]} ${total}${total === 'bytes' ? ' (--account-bytes)' : ''}`;
  const message = `The account has reached its limit of ${limit}. ${advice}`;
  return new ServiceError('quota_exceeded', message, { cause: error });
}

function exceededTotal(error: unknown): keyof AccountUsage | undefined {
  const [table, column] = nullColumnOf(error)?.split('.') ?? [];
  return table === 'account' && (column === 'datasets' || column === 'files' || column === 'bytes')
    ? column
    : undefined;
}
