import { type QueryClient, useQuery } from '@tanstack/react-query';
import { useAccount } from '../session/account.js';
import { useClient } from '../session/client.js';

const KEY = ['tokens'];

/** The tokens, sessions and shares of the account that are not revoked. */
export function useTokens() {
  const client = useClient();
  return useQuery({ queryKey: KEY, queryFn: ({ signal }) => client.tokens.list({ signal }), refetchOnMount: 'always' });
}

export function refetchTokens(queries: QueryClient): void {
  void queries.invalidateQueries({ queryKey: KEY });
}

/** Why the own token can't make and revoke tokens; `undefined` if it can. */
export function useWhyNotManage(): string | undefined {
  const token = useAccount()?.token;
  if (token?.read_only) return 'Your token only reads.';
  return token?.datasets ? 'Your token is bound to certain datasets.' : undefined;
}
