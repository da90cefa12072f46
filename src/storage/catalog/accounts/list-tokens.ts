import { mapInPieces, ONE_PIECE } from '../../../pieces.js';
import type { Query } from '../../database/database.js';
import { IS_LIVE, rowChunksOf } from '../statements.js';
import type { TokenKind, TokenSummary } from './grant.js';
import { datasetIdsIn } from './token-statements.js';

/** A list with more names of datasets is large work: each of an account's thousand tokens may be bound to a hundred datasets. */
const MAX_NAMES_AT_ONCE = 1000;

export interface TokenFilter {
  readonly accountId?: string;
  readonly ids?: readonly string[];
  readonly kind?: TokenKind;
  /** Without those that were revoked. */
  readonly isUnrevoked?: boolean;
}

/** Lists tokens, sessions and shares, oldest first, with the names of the datasets that they are bound to. */
export async function listTokens(
  query: Query,
  { accountId, ids, kind, isUnrevoked = false }: TokenFilter,
  pieces = ONE_PIECE,
): Promise<TokenSummary[]> {
  let select = query
    .selectFrom('token')
    .innerJoin('account', 'account.id', 'token.account_id')
    .selectAll('token')
    .select('account.name as account_name')
    .where('kind', '<>', 'code')
    .orderBy('token.created_at')
    .orderBy('token.id');
  if (accountId !== undefined) select = select.where('account_id', '=', accountId);
  if (ids !== undefined) select = select.where('token.id', 'in', ids);
  if (kind !== undefined) select = select.where('kind', '=', kind);
  if (isUnrevoked) select = select.where('revoked_at', 'is', null);
  const rows = (await select.execute()).map((row) => ({ ...row, datasetIds: datasetIdsIn(row.dataset_ids) }));
  const datasetIds = rows.flatMap((row) => row.datasetIds ?? []);
  if (datasetIds.length > MAX_NAMES_AT_ONCE) await pieces.begin();
  const names = new Map<string, string>();
  for (const chunk of rowChunksOf([...new Set(datasetIds)])) {
    const named = query.selectFrom('dataset').select(['id', 'name']).where('id', 'in', chunk);
    for (const { id, name } of await named.where(IS_LIVE).execute()) names.set(id, name);
    await pieces.pause();
  }
  return mapInPieces(rows, pieces, (row) => ({
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
    datasets: row.datasetIds?.map((id) => ({ id, name: names.get(id) ?? null })) ?? null,
  }));
}
