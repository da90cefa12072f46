import { MAX_LISTED } from '../../../src/api/limits.js';
import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { forEachConcurrent } from '../../../src/for-each-concurrent.js';

const CONCURRENT_WITHDRAWALS = 5;

/**
 * Withdraws the uploads that have not arrived.
 *
 * @param onWithdrawn called with the name of each
 * @throws TrainyardError if the service does not withdraw one; TypeError if it is unreachable; the signal's reason
 */
export async function withdrawAwaited(
  client: TrainyardClient,
  datasetId: string,
  { names, onWithdrawn, signal }: { names: ReadonlySet<string>; onWithdrawn(name: string): void; signal: AbortSignal },
): Promise<void> {
  for (let hasMore = true; hasMore; ) {
    // Withdraws awaited names only: for any other name, this would clear the problem of an older upload.
    const { awaited = [] } = await client.status(datasetId, { signal });
    const ours = awaited.flatMap(({ filename }) => (names.has(filename) ? filename : []));
    hasMore = ours.length > 0 && awaited.length === MAX_LISTED;
    await forEachConcurrent(ours, CONCURRENT_WITHDRAWALS, async (name) => {
      await client.withdraw(datasetId, name, { signal }).catch((error) => {
        // It was withdrawn by another client, or it was uploaded after all.
        if (!(error instanceof TrainyardError && error.code === 'file_not_found')) throw error;
      });
      onWithdrawn(name);
    });
  }
}
