import { useState } from 'react';
import { useClient } from '../session/client.js';
import { useRequesting } from '../session/dialog-form.js';
import { useDataset } from './dataset.js';

const NONE: ReadonlySet<string> = new Set();

interface Withdrawal {
  /** Removes the pending, rejected and expired uploads of these names. Stored files stay. */
  readonly withdraw: (filenames: readonly string[]) => Promise<void>;
  /** The names that are being withdrawn. */
  readonly withdrawing: ReadonlySet<string>;
  /** Why the last withdrawal failed; empty if it did not. */
  readonly failure: string;
}

/** Withdraws uploads of a dataset, and then shows it as it is. */
export function useWithdrawal(datasetId: string): Withdrawal {
  const client = useClient();
  const { refetch } = useDataset(datasetId);
  const [withdrawing, setWithdrawing] = useState(NONE);
  const { failure, run } = useRequesting();
  const withdraw = async (filenames: readonly string[]) => {
    setWithdrawing(new Set(filenames));
    await run(async () => void (await client.bulk.withdraw(datasetId, filenames)));
    await refetch();
    setWithdrawing(NONE);
  };
  return { withdraw, withdrawing, failure };
}
