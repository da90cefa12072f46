import { useQuery } from '@tanstack/react-query';
import { useClient, useIsShared } from './client.js';

/** Why a control is disabled. */
export const ONLY_READS = 'Your token only reads.';

/** The account of the token, and what the token allows. `undefined` until it is known, and for a share, which may not know it. */
export function useAccount() {
  const client = useClient();
  const enabled = !useIsShared();
  return useQuery({ queryKey: ['account'], queryFn: ({ signal }) => client.account({ signal }), enabled }).data;
}

/** Whether the token may change datasets. */
export function useCanWrite(): boolean {
  const isShared = useIsShared();
  const account = useAccount();
  return !isShared && account?.token.read_only !== true;
}
