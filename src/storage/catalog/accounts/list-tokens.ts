import { ITEMS_PER_PIECE, ONE_PIECE, type Pieces } from '../../../pieces.js';
import type { Query } from '../../database/database.js';
import { IS_LIVE, rowChunksOf } from '../statements.js';
import type { TokenKind, TokenSummary } from './grant.js';
import { datasetIdsIn } from './token-statements.js';

/** A list with more rows is large work: one that is bound to a hundred datasets has kilobytes. */
const MAX_ROWS_AT_ONCE = 100;

/** So is a list with more names of datasets. */
const MAX_NAMES_AT_ONCE = 1000;

export interface TokenFilter {
  readonly accountId?: string;
  readonly ids?: readonly string[];
  readonly kind?: TokenKind;
  /** Without those that were revoked. */
  readonly isUnrevoked?: boolean;
}

type NamedDataset = NonNullable<TokenSummary['datasets']>[number];

/** Lists tokens, sessions and shares, oldest first, with the names of the datasets that they are bound to. */
export async function listTokens(query: Query, filter: TokenFilter, pieces = ONE_PIECE): Promise<TokenSummary[]> {
  const short = await shortList(query, filter);
  if (short !== undefined) return short;
  // A list that waits for others holds nothing, and begins again.
  await pieces.begin();
  const ids = await idsBy(query, filter).execute();
  const summaries: TokenSummary[] = [];
  const datasets = new Map<string, NamedDataset>();
  for (let from = 0; from < ids.length; from += ITEMS_PER_PIECE) {
    const page = ids.slice(from, from + ITEMS_PER_PIECE).map(({ id }) => id);
    summaries.push(...(await summariesOf(query, await rowsOf(query, page), { datasets, pieces })));
    await pieces.pause();
  }
  return summaries;
}

/** Returns `undefined` if the list is large work. */
async function shortList(query: Query, filter: TokenFilter): Promise<TokenSummary[] | undefined> {
  const rows = await rowsOf(query, idsBy(query, filter).limit(MAX_ROWS_AT_ONCE + 1));
  if (rows.length > MAX_ROWS_AT_ONCE) return undefined;
  if (rows.reduce((sum, row) => sum + (row.datasetIds?.length ?? 0), 0) > MAX_NAMES_AT_ONCE) return undefined;
  return summariesOf(query, rows, { datasets: new Map(), pieces: ONE_PIECE });
}

/** An index has all that this reads; the rows themselves may be large. */
function idsBy(query: Query, { accountId, ids, kind, isUnrevoked = false }: TokenFilter) {
  let select = query.selectFrom('token').select('id').where('kind', '<>', 'code').orderBy('created_at').orderBy('id');
  if (accountId !== undefined) select = select.where('account_id', '=', accountId);
  if (ids !== undefined) select = select.where('id', 'in', ids);
  if (kind !== undefined) select = select.where('kind', '=', kind);
  return isUnrevoked ? select.where('revoked_at', 'is', null) : select;
}

async function rowsOf(query: Query, ids: readonly string[] | ReturnType<typeof idsBy>) {
  const select = query
    .selectFrom('token')
    .innerJoin('account', 'account.id', 'token.account_id')
    .selectAll('token')
    .select('account.name as account_name')
    .where('token.id', 'in', ids)
    .orderBy('token.created_at')
    .orderBy('token.id');
  return (await select.execute()).map((row) => ({ ...row, datasetIds: datasetIdsIn(row.dataset_ids) }));
}

type TokenRow = Awaited<ReturnType<typeof rowsOf>>[number];

/** @param context.datasets those that were read already; the others are added */
async function summariesOf(
  query: Query,
  rows: readonly TokenRow[],
  { datasets, pieces }: { datasets: Map<string, NamedDataset>; pieces: Pieces },
): Promise<TokenSummary[]> {
  const others = new Set(rows.flatMap((row) => row.datasetIds ?? []).filter((id) => !datasets.has(id)));
  for (const chunk of rowChunksOf([...others])) {
    const named = query.selectFrom('dataset').select(['id', 'name']).where('id', 'in', chunk).where(IS_LIVE);
    for (const dataset of await named.execute()) datasets.set(dataset.id, dataset);
    await pieces.pause();
  }
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind as TokenKind,
    parentId: row.parent_id,
    account: row.account_name,
    hint: row.hint,
    name: row.name,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    isReadOnly: row.is_read_only === 1,
    datasets: row.datasetIds?.map((id) => datasets.get(id) ?? { id, name: null }) ?? null,
  }));
}
