import { type DatasetWithFiles, type TrainyardClient, TrainyardError } from '../../../src/client/client.js';

/** A stored file, or an upload that was rejected. */
export interface ReplacedEntry {
  readonly filename: string;
  /** The version of the stored file that the user has seen; `undefined` for a rejected upload. */
  readonly etag: string | undefined;
}

/** How long one request waits for the end of a check. */
const WAIT_SECONDS = 30;

/** Why an entry was not replaced: the new file was rejected, or it was stored and another client changed the old one. */
type NotReplaced = { readonly why: 'rejected' | 'conflict'; readonly reason: string };

/**
 * Waits until an uploaded file is checked, and then removes the entry that it replaces.
 *
 * @returns why the entry stays; `undefined` if it was removed
 */
export async function replaceEntry(
  client: TrainyardClient,
  datasetId: string,
  { name, replaces, signal }: { name: string; replaces: ReplacedEntry; signal: AbortSignal },
): Promise<NotReplaced | undefined> {
  const { filename, etag } = replaces;
  let dataset = await client.status(datasetId, { signal });
  while (isUnchecked(dataset, name)) {
    dataset = await client.status(datasetId, { signal, waitSeconds: WAIT_SECONDS });
  }
  const rejection = rejectionOf(dataset, name);
  if (rejection !== undefined) return { why: 'rejected', reason: rejection };
  const conflict: NotReplaced = {
    why: 'conflict',
    reason: `${name} is stored. ${filename} was kept, because another client changed it meanwhile. Delete one of them.`,
  };
  // A removal would also end an upload of this name that another client has begun.
  if (isUnchecked(dataset, filename)) return conflict;
  try {
    if (etag === undefined) await client.withdraw(datasetId, filename, { signal });
    else await client.removeFile(datasetId, filename, { ifMatch: etag, signal });
  } catch (error) {
    if (!(error instanceof TrainyardError)) throw error;
    // The entry is gone already: `file_not_found` of a rejected upload, 412 without a current file of a stored one.
    if (error.code === 'file_not_found' || error.current === null) return undefined;
    if (error.status === 412) return conflict;
    throw error;
  }
  return undefined;
}

/** Whether an upload of this name has not arrived, or is still being checked. */
function isUnchecked({ awaited = [], checking = [] }: DatasetWithFiles, name: string): boolean {
  return [...awaited, ...checking].some(({ filename }) => filename === name);
}

/** Why the dataset has not stored the upload; `undefined` if it has. */
function rejectionOf({ files, error }: DatasetWithFiles, name: string): string | undefined {
  const stored = files.find(({ filename }) => filename === name);
  if (stored !== undefined) return stored.warnings?.find(({ code }) => code === 'REPLACEMENT_REJECTED')?.message;
  const problem = error?.problems.find(({ filename }) => filename === name);
  return problem?.message ?? `${name} was rejected or removed.`;
}
