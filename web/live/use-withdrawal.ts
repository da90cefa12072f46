import { useState } from 'react';
import { signOutIfUnauthorized, useClient } from '../session/client.js';
import { messageOf } from '../ui/format.js';
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
  const [failure, setFailure] = useState('');
  const withdraw = async (filenames: readonly string[]) => {
    setFailure('');
    setWithdrawing(new Set(filenames));
    try {
      await client.bulk.withdraw(datasetId, filenames);
    } catch (error) {
      setFailure(messageOf(error));
      signOutIfUnauthorized(error);
    }
    await refetch();
    setWithdrawing(NONE);
  };
  return { withdraw, withdrawing, failure };
}
