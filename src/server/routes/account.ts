import { wireAccount } from '../../api/account/account-schema.js';
import type { App, RouteContext } from '../context.js';
import { routesTagged } from '../docs.js';
import { timeOf } from '../to-wire.js';

const route = routesTagged('account');

/** The route that tells what a token allows, and how much of its limits an account uses. */
export function registerAccountRoutes(app: App, { accounts, limits }: RouteContext): void {
  app.get(
    '/account',
    route('The account, what its token allows, and the usage and limits of the account', {
      response: { 200: wireAccount },
    }),
    async ({ accountId, grant }) => {
      if (grant === undefined) throw new Error('No link leads to the account.');
      const { tokenId, sessionId, accountName, isReadOnly, datasetIds, expiresAt } = grant;
      return {
        account: accountName,
        token: {
          id: tokenId,
          read_only: isReadOnly,
          datasets: datasetIds && [...datasetIds],
          expires_at: expiresAt === null ? null : timeOf(expiresAt),
        },
        session_id: sessionId,
        ...(datasetIds === null && { usage: usageToWire(await accounts.usage(accountId)) }),
        limits: limits.account,
      };
    },
  );
}

function usageToWire({ historyBytes, ...usage }: Awaited<ReturnType<RouteContext['accounts']['usage']>>) {
  return { ...usage, history_bytes: historyBytes };
}
