import type { WireDatasetWithFiles, WireFile, WireUploadedFile, WireUploadLink } from '../api/schemas.js';
import { forEachConcurrent } from '../for-each-concurrent.js';
import { abortable, errorOf, shortJsonOf, untilAborted } from './answers.js';
import { compareContent, openFile, type PushFile } from './push-file.js';
import { PushCounter, type PushListeners, type PushResult } from './push-progress.js';
import type { CallOptions, WriteOptions } from './requests.js';
import { delayBefore, sleep, withRetries } from './retry.js';
import { TrainyardError } from './trainyard-error.js';

const DEFAULT_CONCURRENCY = 4;

/** Links requested for one file before it fails. */
const MAX_LINKS = 5;

/** Sends a body to a link, and reports how many of its bytes have been sent. Must not throw for an HTTP status. */
export type SendBody = (
  link: WireUploadLink,
  body: Blob,
  options: { signal: AbortSignal | undefined; onSent: (sentBytes: number) => void },
) => Promise<Response>;

export interface PushOptions extends PushListeners {
  /** Files sent concurrently; 4 by default. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * By filename, the ETag of the file that an upload replaces; `null`: there is none. A file that is no longer so is not
   * replaced, and fails with the status 412. Files that are not listed are replaced in any case. trainyard only.
   */
  readonly ifMatch?: Readonly<Record<string, string | null>> | undefined;
  /** Replaces `fetch` for sending files, in runtimes that can report how many bytes have been sent. */
  readonly send?: SendBody;
}

/** The methods of `TrainyardClient` that a push calls. */
interface PushCalls {
  status(id: string, options: CallOptions): Promise<WireDatasetWithFiles>;
  upload(id: string, filename: string, bytes: Blob, options: WriteOptions): Promise<unknown>;
  uploadLinks(
    id: string,
    sizes: Record<string, number>,
    options: CallOptions & { ifMatch?: Record<string, string | null> },
  ): Promise<Record<string, WireUploadLink>>;
  withdraw(id: string, filename: string, options: CallOptions): Promise<void>;
}

/** See `TrainyardClient.missing`. */
export async function missingFiles(
  calls: PushCalls,
  id: string,
  files: readonly PushFile[],
  { concurrency = DEFAULT_CONCURRENCY, signal }: Pick<PushOptions, 'concurrency' | 'signal'>,
): Promise<PushFile[]> {
  return filesToSend(files, await storedFiles(calls, id, { signal }), { concurrency, signal });
}

/** See `TrainyardClient.push`. */
export async function pushFiles(
  calls: PushCalls,
  id: string,
  files: readonly PushFile[],
  options: PushOptions & { attempts: number; fetch: typeof fetch },
): Promise<PushResult> {
  const { signal, ifMatch, attempts, concurrency = DEFAULT_CONCURRENCY, send = sendWith(options.fetch) } = options;
  const progress = new PushCounter(files, options);
  const stored = await storedFiles(calls, id, { signal });
  const onUnchanged = (file: PushFile) => progress.finish(file, 'unchanged');
  const missing = await filesToSend(files, stored, { concurrency, signal, onUnchanged });
  // The service makes no links for empty files; `upload` sends them.
  const nonEmpty = missing.filter((file) => file.size > 0);
  const { links, rejected } = await reserve(calls, id, nonEmpty, { ifMatch, signal });
  // Another client may be storing the same bytes at the same time. One request at the end tells for all of these files.
  const contested = new Map<PushFile, Error>();
  const finishFailed = (file: PushFile, error: Error) => {
    if (isContested(error)) contested.set(file, error);
    else progress.finish(file, error);
  };
  for (const [file, error] of rejected) finishFailed(file, error);

  /** @returns the SHA-256 of the stored file, as `onFileFinished` gets it */
  const sendOnce = async (file: PushFile, attemptSignal: AbortSignal | undefined): Promise<string | undefined> => {
    progress.sent(file, 0);
    const body = await openFile(file);
    const link = links.get(file);
    if (link === undefined) {
      const options = { ifMatch: ifMatch?.[file.name], signal: attemptSignal };
      return storedSha256In(await calls.upload(id, file.name, body, options));
    }
    const onSent = (sentBytes: number) => progress.sent(file, sentBytes);
    const answer = send(link, body, { signal: attemptSignal, onSent });
    const response = abortable(await untilAborted(answer, attemptSignal), attemptSignal);
    if (!response.ok) throw await errorOf(response);
    return storedSha256In(await shortJsonOf(response));
  };
  const isStored = async (file: PushFile): Promise<boolean> => {
    const name = storedName(file);
    const content = await compareContent(file, (await storedFiles(calls, id, { signal })).get(name));
    // Without a SHA-256, a stored file of the same size may be older than this push.
    return content === 'same' || (content === 'unknown' && stored.get(name)?.size_bytes !== file.size);
  };
  const sendFile = async (file: PushFile): Promise<string | undefined> => {
    // `upload` retries by itself.
    if (!links.has(file)) return sendOnce(file, signal);
    for (let used = 1; ; used++) {
      try {
        return await withRetries((attemptSignal) => sendOnce(file, attemptSignal), { attempts, signal });
      } catch (error) {
        const status = error instanceof TrainyardError ? error.status : undefined;
        // An earlier attempt may have stored the file and lost the answer.
        if (status === 409 && (await isStored(file))) return undefined;
        // 403: the link has expired or was replaced by a newer one. 409: it has been used.
        if ((status !== 403 && status !== 409) || used >= MAX_LINKS) throw error;
        // Another client uploads the same file: each new link ends the other's upload, so one of the two has to wait.
        if (error instanceof TrainyardError && error.code === 'link_withdrawn')
          await sleep(delayBefore(used, error), signal);
        const renewed = await reserve(calls, id, [file], { ifMatch, signal });
        const link = renewed.links.get(file);
        if (link === undefined) throw renewed.rejected.get(file) ?? error;
        links.set(file, link);
      }
    }
  };
  await forEachConcurrent(missing, concurrency, async (file) => {
    if (progress.isFinished(file) || contested.has(file)) return;
    signal?.throwIfAborted();
    try {
      progress.finish(file, 'stored', await sendFile(file));
    } catch (error) {
      signal?.throwIfAborted();
      // Ends the push if the service does not answer or the dataset is gone; otherwise every file would fail in turn.
      if (mayConcernAllFiles(error)) await calls.status(id, { signal });
      if (error instanceof TrainyardError && error.status === 507) throw error;
      finishFailed(file, error instanceof Error ? error : new Error(String(error)));
      // The reservation of a file that can't be read would keep the dataset UPLOADING until its link expires.
      // Services other than trainyard can't withdraw it.
      if (!isServiceError(error)) await calls.withdraw(id, file.name, { signal }).catch(() => {});
      signal?.throwIfAborted();
    }
  });
  if (contested.size > 0) {
    const now = await storedFiles(calls, id, { signal });
    for (const [file, error] of contested) {
      const isThere = (await compareContent(file, now.get(storedName(file)))) === 'same';
      progress.finish(file, isThere ? 'unchanged' : error);
    }
  }
  return progress.result();
}

/** The SHA-256 in the answer to an upload, if the file is stored: its check does not go on, and no bucket has answered. */
function storedSha256In(answer: unknown): string | undefined {
  const { sha256, checking } = Object(answer) as Partial<WireUploadedFile>;
  return checking === true ? undefined : sha256;
}

/** The service stores names in Unicode NFC. */
function storedName(file: PushFile): string {
  return file.name.normalize('NFC');
}

type UploadedBytes = Pick<WireFile, 'filename' | 'size_bytes' | 'sha256'>;

/** The files of the dataset, those that are still being checked included. */
async function storedFiles(calls: PushCalls, id: string, options: CallOptions): Promise<Map<string, UploadedBytes>> {
  const { files, checking = [] } = await calls.status(id, options);
  return new Map([...files, ...checking].map((file) => [file.filename, file]));
}

/** The files without those that are known to be stored with the same bytes, in their order. */
async function filesToSend(
  files: readonly PushFile[],
  stored: ReadonlyMap<string, UploadedBytes>,
  options: { concurrency: number; signal: AbortSignal | undefined; onUnchanged?: (file: PushFile) => void },
): Promise<PushFile[]> {
  const missing = new Set(files);
  await forEachConcurrent(files, options.concurrency, async (file) => {
    options.signal?.throwIfAborted();
    if ((await compareContent(file, stored.get(storedName(file)))) !== 'same') return;
    missing.delete(file);
    options.onUnchanged?.(file);
  });
  return [...missing];
}

/** Reserves all files in one request. If the service rejects some, the others are requested again without them. */
async function reserve(
  calls: PushCalls,
  id: string,
  files: readonly PushFile[],
  { ifMatch = {}, signal }: Pick<PushOptions, 'ifMatch' | 'signal'>,
): Promise<{ links: Map<PushFile, WireUploadLink>; rejected: Map<PushFile, Error> }> {
  const rejected = new Map<PushFile, Error>();
  for (let remaining = files; ; remaining = remaining.filter((file) => !rejected.has(file))) {
    if (remaining.length === 0) return { links: new Map(), rejected };
    try {
      const sizes = Object.fromEntries(remaining.map(({ name, size }) => [name, size]));
      const tags = Object.fromEntries(Object.entries(ifMatch).filter(([name]) => Object.hasOwn(sizes, name)));
      const conditions = Object.keys(tags).length === 0 ? {} : { ifMatch: tags };
      const byName = await calls.uploadLinks(id, sizes, { ...conditions, signal });
      const links = new Map(
        remaining.flatMap((file) => (Object.hasOwn(byName, file.name) ? [[file, byName[file.name]!]] : [])),
      );
      return { links, rejected };
    } catch (error) {
      const errors = error instanceof TrainyardError ? errorsByFilename(error) : new Map<string, TrainyardError>();
      const before = rejected.size;
      for (const file of remaining) {
        const own = errors.get(file.name) ?? errors.get(storedName(file));
        if (own !== undefined) rejected.set(file, own);
      }
      if (rejected.size === before) throw error;
    }
  }
}

/** Splits the error of a rejected batch into one error for each file that it names. */
function errorsByFilename({ status, errorCode, detail }: TrainyardError): Map<string, TrainyardError> {
  return new Map(
    detail.flatMap(({ path, message }) => {
      const [, field, name] = /^(filenameToByteSize|ifMatch)\.(.*)$/s.exec(path) ?? [];
      if (name === undefined || (field === 'ifMatch' && status !== 412)) return [];
      const text = field === 'ifMatch' ? `${name} was changed by another client: it ${message}.` : message;
      return [[name, new TrainyardError(status, { error_code: errorCode, error_message: text })]];
    }),
  );
}

/** True for an answer of the service and for the `TypeError` that `fetch` throws without one; false for local errors. */
function isServiceError(error: unknown): boolean {
  return error instanceof TrainyardError || error instanceof TypeError;
}

/** True if another client has changed the file, or has reserved or used up its links. */
function isContested(error: Error): boolean {
  return error instanceof TrainyardError && [403, 409, 412].includes(error.status);
}

/** True for service errors that may occur for other files too; a 412, 413, 415 or 422 concerns one file. */
function mayConcernAllFiles(error: unknown): boolean {
  return isServiceError(error) && !(error instanceof TrainyardError && [412, 413, 415, 422].includes(error.status));
}

/** `fetch` does not report how many bytes have been sent. */
function sendWith(fetch: typeof globalThis.fetch): SendBody {
  return ({ upload_url, method, headers = {} }, body, { signal }) =>
    fetch(upload_url, { method, headers, body, redirect: 'manual', ...(signal && { signal }) });
}
