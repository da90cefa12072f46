import { useState } from 'react';
import { useClient } from '../session/client.js';
import { useRequesting } from '../session/dialog-form.js';
import { useDataset } from './dataset.js';

const NONE: ReadonlySet<string> = new Set();

/** Withdraws uploads of a dataset, and then shows it as it is. */
export function useWithdrawal(datasetId: string) {
  const client = useClient();
  const { refetch } = useDataset(datasetId);
  const [withdrawing, setWithdrawing] = useState(NONE);
  const { failure, run } = useRequesting();
  /** Removes the pending, rejected and expired uploads of these names. Stored files stay. */
  const withdraw = async (filenames: readonly string[]) => {
    setWithdrawing(new Set(filenames));
    await run(async () => void (await client.bulk.withdraw(datasetId, filenames)));
    await refetch();
    setWithdrawing(NONE);
  };
  return { withdraw, withdrawing, failure };
}
