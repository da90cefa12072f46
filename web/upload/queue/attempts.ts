import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { messageOf } from '../../ui/format.js';
import { etagsIn, type QueuedFile } from './queued-file.js';

/** What is known of the upload of a file. */
export interface UploadAttempt {
  brokenConnections: number;
  /** As in `QueuedFile`; known once the file is being sent. */
  etag: QueuedFile['etag'];
}

/**
 * The versions that the uploads replace, by filename. Reads those that are not known yet.
 *
 * @throws as the client does; the signal's reason
 */
export async function versionsToReplace(
  client: TrainyardClient,
  datasetId: string,
  { attempts, signal }: { attempts: ReadonlyMap<QueuedFile, UploadAttempt>; signal: AbortSignal },
): Promise<Record<string, string | null>> {
  const unknown = [...attempts].filter(([, { etag }]) => etag === undefined);
  if (unknown.length > 0) {
    const stored = etagsIn(await client.status(datasetId, { signal }));
    for (const [{ name }, attempt] of unknown) attempt.etag = stored.has(name) ? stored.get(name) : null;
  }
  return Object.fromEntries(
    [...attempts].flatMap(([{ name }, { etag }]) => (etag === undefined ? [] : [[name, etag]])),
  );
}

/**
 * What helps after a failure: to send the same bytes again, or to choose another file. The dataset itself lists an upload whose
 * content it rejected, with the reason and what helps.
 */
export type Remedy = 'retry' | 'replace' | 'listed';

/** Why an upload failed, what helps, and which version of its name another attempt replaces, as in `QueuedFile`. */
export interface FailedAttempt extends Pick<UploadAttempt, 'etag'> {
  readonly reason: string;
  readonly remedy: Remedy;
}

/** The user who is told of another version, and retries the upload, replaces that one. */
export function failedAttemptOf(error: Error, { name }: QueuedFile, { etag }: UploadAttempt): FailedAttempt {
  if (!isOtherVersion(error)) return { reason: messageOf(error), etag, remedy: remedyOf(error) };
  const reason =
    etag === null
      ? `Another version of ${name} was added to the dataset meanwhile. Retry replaces it.`
      : `${name} was changed or deleted in the dataset meanwhile. Retry replaces the version that is there.`;
  return { reason, etag: undefined, remedy: 'retry' };
}

/** The same file would be rejected again. */
const REJECTED_FOR_GOOD: readonly unknown[] = ['invalid_name', 'unsupported_type', 'too_large'];

function remedyOf(error: Error): Remedy {
  if (error instanceof TrainyardError) {
    if (error.code === 'invalid_content') return 'listed';
    return REJECTED_FOR_GOOD.includes(error.code) ? 'replace' : 'retry';
  }
  // A broken connection or a timeout; otherwise the file on disk could not be read.
  return error instanceof TypeError || error instanceof DOMException ? 'retry' : 'replace';
}

/** Whether the version in the dataset is not the one that the upload replaces. The upload has ended then. */
export function isOtherVersion(error: Error): boolean {
  return error instanceof TrainyardError && error.status === 412;
}
