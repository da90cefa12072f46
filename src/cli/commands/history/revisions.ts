import { InvalidArgumentError } from 'commander';
import { type Revision, type TrainyardClient, TrainyardError } from '../../../client/client.js';
import { wholeNumber } from '../../../setting-values.js';
import { CommandError, EXIT } from '../../terminal/exit-codes.js';
import { printable } from '../../terminal/text.js';

/** Parses the number of a revision. */
export function revisionArgument(text: string): number {
  return numberIn(text, 1);
}

/** Parses the number of a revision, or 0, which stands for no files. */
export function revisionOrNone(text: string): number {
  return numberIn(text, 0);
}

function numberIn(text: string, min: number): number {
  try {
    return wholeNumber({ min, max: Number.MAX_SAFE_INTEGER })(text);
  } catch (error) {
    throw new InvalidArgumentError(`It ${(error as Error).message}.`);
  }
}

/** @throws CommandError with 66 if no file was ever stored in the dataset */
export async function latestRevision(
  client: TrainyardClient,
  { id, name }: { id: string; name: string },
  signal: AbortSignal,
): Promise<Revision> {
  const { revisions } = await client.history.revisions(id, { limit: 1 }, { signal }).catch(explainNoHistory);
  const [latest] = revisions;
  if (latest !== undefined) return latest;
  throw new CommandError(EXIT.noInput, `"${printable(name)}" has no revisions: no file was ever stored.`);
}

/** Rethrows the error of a call. A service that has the dataset and not the route keeps no history. */
export function explainNoHistory(error: unknown): never {
  const isMissing = error instanceof TrainyardError && error.status === 404;
  if (!isMissing || error.code === 'dataset_not_found' || error.code === 'revision_not_found') throw error;
  throw new CommandError(EXIT.unavailable, 'this service keeps no history of datasets.', { cause: error });
}
