import type { AccountUsage } from '../../storage/catalog/accounts/account-usage.js';

/** The limits of one account, and those of this process. */
export interface Limits {
  readonly account: AccountUsage;
  readonly maxDatasetFiles: number;
  /** Uploads of an account that are received at once. */
  readonly accountUploads: number;
  readonly accountRequestsPerSecond: number;
  /** By address, before their answers are delayed. */
  readonly failedLoginsPerSecond: number;
  readonly maxConnections: number;
  /** Of request bodies that are read as a whole. */
  readonly bodyMemoryBytes: number;
}
