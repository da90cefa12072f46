import type { AccountUsage } from '../../storage/catalog/accounts/account-usage.js';

/** The limits of one account, and those of this process. */
export interface Limits {
  readonly account: AccountUsage;
  readonly maxDatasetFiles: number;
  readonly accountRequestsPerSecond: number;
}
