import { MAX_LISTED } from '../../../src/api/limits.js';
import type { TrainyardClient } from '../../../src/client/client.js';

interface WithdrawOptions {
  readonly names: ReadonlySet<string>;
  readonly signal?: AbortSignal;
}

/**
 * Withdraws the uploads of these names that are awaited, so that the dataset does not wait for them. For any other name, this would
 * clear the problem of an older upload.
 *
 * @returns the names that were awaited
 * @throws as the client does
 */
export async function withdrawAwaited(
  client: TrainyardClient,
  datasetId: string,
  { names, ...options }: WithdrawOptions,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let hasMore = true; hasMore; ) {
    const { awaited = [] } = await client.status(datasetId, options);
    const own = awaited.flatMap(({ filename }) => (filename !== undefined && names.has(filename) ? filename : []));
    const answers = own.length === 0 ? [] : await client.bulk.withdraw(datasetId, own, options);
    // The others are being received, or were uploaded after all.
    hasMore = awaited.length === MAX_LISTED && answers.some(({ withdrawn }) => withdrawn);
    for (const name of own) found.add(name);
  }
  return found;
}
