import type { Query } from '../../database/database.js';
import { IS_LIVE, rowChunksOf } from '../statements.js';
import type { TokenKind, TokenSummary } from './grant.js';
import { datasetIdsIn } from './token-statements.js';

export interface TokenFilter {
  readonly accountId?: string;
  readonly ids?: readonly string[];
  readonly kind?: TokenKind;
  /** Without those that were revoked. */
  readonly isUnrevoked?: boolean;
}

/** Lists tokens, sessions and shares, oldest first, with the names of the datasets that they are bound to. */
export async function listTokens(query: Query, filter: TokenFilter): Promise<TokenSummary[]> {
  const rows = await rowsOf(query, filter);
  const datasets = new Map<string, NonNullable<TokenSummary['datasets']>[number]>();
  for (const chunk of rowChunksOf([...new Set(rows.flatMap((row) => row.datasetIds ?? []))])) {
    const named = query.selectFrom('dataset').select(['id', 'name']).where('id', 'in', chunk).where(IS_LIVE);
    for (const dataset of await named.execute()) datasets.set(dataset.id, dataset);
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

/** An index has all that this reads; the rows themselves may be large. */
function idsBy(query: Query, { accountId, ids, kind, isUnrevoked = false }: TokenFilter) {
  let select = query.selectFrom('token').select('id').where('kind', '<>', 'code').orderBy('created_at').orderBy('id');
  if (accountId !== undefined) select = select.where('account_id', '=', accountId);
  if (ids !== undefined) select = select.where('id', 'in', ids);
  if (kind !== undefined) select = select.where('kind', '=', kind);
  return isUnrevoked ? select.where('revoked_at', 'is', null) : select;
}

async function rowsOf(query: Query, filter: TokenFilter) {
  const select = query
    .selectFrom('token')
    .innerJoin('account', 'account.id', 'token.account_id')
    .selectAll('token')
    .select('account.name as account_name')
    .where('token.id', 'in', idsBy(query, filter))
    .orderBy('token.created_at')
    .orderBy('token.id');
  return (await select.execute()).map((row) => ({ ...row, datasetIds: datasetIdsIn(row.dataset_ids) }));
}
