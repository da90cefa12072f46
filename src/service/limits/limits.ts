import type { AccountUsage } from '../../storage/catalog/accounts/account-usage.js';

/** The limits of an account, and of this process. */
export interface Limits {
  readonly account: AccountUsage;
  readonly maxDatasetFiles: number;
  readonly accountRequestsPerSecond: number;
}
