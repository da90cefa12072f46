import type { WireFile, WireUploadLink } from '../api/schemas.js';
import type { TrainyardClient } from './client.js';
import { PushCounter, type PushOutcome, type PushProgress, type PushResult } from './push-progress.js';
import { withRetries } from './retry.js';
import { errorOf, TrainyardError } from './trainyard-error.js';

/** Files sent at once, unless told otherwise. */
const CONCURRENCY = 4;

/** Of files that must be in memory as a whole: for a SHA-256 where none is given, since the browser's own needs all bytes. */
const MAX_BYTES_HELD = 64 * 1024 * 1024;

/** Fresh links for one file before it is given up. */
const MAX_LINKS = 3;

export interface PushFile {
  /** The name in the dataset. */
  readonly name: string;
  readonly size: number;
  /** The bytes, when they are wanted; a `File` of a browser or `openAsBlob` of Node, which read from disk as they go. */
  readonly open: () => Promise<Blob>;
  /** The SHA-256 in lower-case hexadecimal, asked for only where the dataset has a file of this name and size. */
  readonly sha256?: () => Promise<string>;
}

/** Sends a body to a link, and says how many bytes of it have left. */
export type SendBody = (
  link: WireUploadLink,
  body: Blob,
  options: { signal: AbortSignal | undefined; onSent: (sentBytes: number) => void },
) => Promise<Response>;

export interface PushOptions {
  /** Files sent at once; 4 unless told. */
  readonly concurrency?: number;
  readonly onProgress?: (progress: PushProgress) => void;
  /** Of each file, once: so that whoever has to push again, after an error that ended all, knows what is left. */
  readonly onSettled?: (file: PushFile, outcome: PushOutcome) => void;
  readonly signal?: AbortSignal | undefined;
  /** In place of `fetch`, for runtimes that can tell what has left; must not throw for a status. */
  readonly send?: SendBody;
}

/** As `TrainyardClient.missing`. */
export async function missingFiles(
  client: TrainyardClient,
  id: string,
  files: readonly PushFile[],
  { concurrency = CONCURRENCY, signal }: Pick<PushOptions, 'concurrency' | 'signal'>,
): Promise<PushFile[]> {
  return missingAmong(files, await filesThere(client, id, signal), { concurrency, signal });
}

/** As `TrainyardClient.push`. */
export async function pushFiles(
  client: TrainyardClient,
  id: string,
  files: readonly PushFile[],
  options: PushOptions & { attempts: number; fetch: typeof fetch },
): Promise<PushResult> {
  const { signal, attempts, concurrency = CONCURRENCY, send = sendBy(options.fetch) } = options;
  const progress = new PushCounter(files, options);
  const there = await filesThere(client, id, signal);
  const onUnchanged = (file: PushFile) => progress.settle(file, 'unchanged');
  const missing = await missingAmong(files, there, { concurrency, signal, onUnchanged });
  // An empty file can't be promised; there is nothing of it to be sent in pieces either.
  const { links, refused } = await promise(
    client,
    id,
    missing.filter((file) => file.size > 0),
    signal,
  );
  for (const [file, error] of refused) progress.settle(file, error);

  const sendOnce = async (file: PushFile, own: AbortSignal | undefined): Promise<void> => {
    progress.sent(file, 0);
    const body = await opened(file);
    const link = links.get(file);
    if (link === undefined) return void (await client.upload(id, file.name, body, { signal: own }));
    const response = await send(link, body, { signal: own, onSent: (sentBytes) => progress.sent(file, sentBytes) });
    if (!response.ok) throw await errorOf(response);
    await response.body?.cancel();
  };
  const hasArrived = async (file: PushFile): Promise<boolean> => {
    const found = await likeness(file, (await filesThere(client, id, signal)).get(kept(file.name)));
    // Where no hashes are told, a file of this size that was there before may still be the old one.
    return found === 'same' || (found === 'unknown' && there.get(kept(file.name))?.size_bytes !== file.size);
  };
  const sendFile = async (file: PushFile): Promise<void> => {
    // A direct upload is tried again by `upload` itself.
    if (!links.has(file)) return sendOnce(file, signal);
    for (let used = 1; ; used++) {
      try {
        return await withRetries((own) => sendOnce(file, own), { attempts, signal });
      } catch (error) {
        const status = error instanceof TrainyardError ? error.status : undefined;
        // The first try may have arrived although its answer did not.
        if (status === 409 && (await hasArrived(file))) return;
        // 403: the link has run out, or a newer one has taken its place. 409: it is spent.
        if ((status !== 403 && status !== 409) || used >= MAX_LINKS) throw error;
        const fresh = await promise(client, id, [file], signal);
        links.set(file, fresh.links.get(file) ?? raise(fresh.refused.get(file) ?? error));
      }
    }
  };
  await eachOf(missing, concurrency, async (file) => {
    if (progress.isSettled(file)) return;
    signal?.throwIfAborted();
    try {
      await sendFile(file);
      progress.settle(file, 'stored');
    } catch (error) {
      signal?.throwIfAborted();
      // Ten thousand files need not find out one by one that nobody answers, or that the dataset is gone.
      if (isOfTheService(error)) await client.status(id, { signal });
      if (error instanceof TrainyardError && error.status === 507) throw error;
      progress.settle(file, error instanceof Error ? error : new Error(String(error)));
      // Left open, the promise of a file that is lost would keep the dataset from READY until its link runs out. A service
      // that can't withdraw it waits for that.
      if (!isAnswer(error)) await client.withdraw(id, file.name, { signal }).catch(() => {});
      signal?.throwIfAborted();
    }
  });
  return progress.result();
}

/** The name as the service keeps and shows it. */
function kept(name: string): string {
  return name.normalize('NFC');
}

async function filesThere(
  client: TrainyardClient,
  id: string,
  signal: AbortSignal | undefined,
): Promise<Map<string, WireFile>> {
  const { files } = await client.status(id, { signal });
  return new Map(files.map((file) => [file.filename, file]));
}

async function missingAmong(
  files: readonly PushFile[],
  there: ReadonlyMap<string, WireFile>,
  options: { concurrency: number; signal: AbortSignal | undefined; onUnchanged?: (file: PushFile) => void },
): Promise<PushFile[]> {
  const missing = new Set(files);
  await eachOf(files, options.concurrency, async (file) => {
    options.signal?.throwIfAborted();
    if ((await likeness(file, there.get(kept(file.name)))) !== 'same') return;
    missing.delete(file);
    options.onUnchanged?.(file);
  });
  return [...missing];
}

/** Promises all of these files together; those that the service refuses are left out, each with the reason. */
async function promise(
  client: TrainyardClient,
  id: string,
  files: readonly PushFile[],
  signal: AbortSignal | undefined,
): Promise<{ links: Map<PushFile, WireUploadLink>; refused: Map<PushFile, Error> }> {
  const refused = new Map<PushFile, Error>();
  for (let wanted = files; ; wanted = wanted.filter((file) => !refused.has(file))) {
    if (wanted.length === 0) return { links: new Map(), refused };
    try {
      const sizes = Object.fromEntries(wanted.map(({ name, size }) => [name, size]));
      const links = await client.uploadLinks(id, sizes, { signal });
      return {
        links: new Map(wanted.flatMap((file) => (links[file.name] ? [[file, links[file.name]!]] : []))),
        refused,
      };
    } catch (error) {
      const faults = error instanceof TrainyardError ? faultsOf(error) : new Map<string, TrainyardError>();
      const guilty = wanted.filter(({ name }) => faults.has(name));
      if (guilty.length === 0) throw error;
      for (const file of guilty) refused.set(file, faults.get(file.name)!);
    }
  }
}

/** What a refused batch says of single files, by name. */
function faultsOf({ status, errorCode, detail }: TrainyardError): Map<string, TrainyardError> {
  const prefix = 'filenameToByteSize.';
  return new Map(
    detail
      .filter(({ path }) => path.startsWith(prefix))
      .map(({ path, message }) => [
        path.slice(prefix.length),
        new TrainyardError(status, { error_code: errorCode, error_message: message }),
      ]),
  );
}

async function opened(file: PushFile): Promise<Blob> {
  const body = await file.open();
  if (body.size === file.size) return body;
  throw new Error(`${file.name} changed while it was being sent: it has ${body.size} bytes now, not ${file.size}.`);
}

/** Whether a file here and one there have the same bytes; `unknown` where nobody tells the hash of one of them. */
async function likeness(file: PushFile, there: WireFile | undefined): Promise<'same' | 'differs' | 'unknown'> {
  if (there === undefined || there.size_bytes !== file.size) return 'differs';
  if (there.sha256 === undefined) return 'unknown';
  // A file that can't be read here can't be sent either, and says so then.
  const sha256 = await (file.sha256 ?? (() => hashed(file)))().catch(() => undefined);
  if (sha256 === undefined) return 'unknown';
  return sha256 === there.sha256 ? 'same' : 'differs';
}

async function hashed(file: PushFile): Promise<string | undefined> {
  // A page that came over plain HTTP, but for one of this machine, has no `subtle` (https://w3c.github.io/webcrypto/#Crypto-interface).
  const subtle = crypto.subtle as typeof crypto.subtle | undefined;
  if (subtle === undefined || file.size > MAX_BYTES_HELD) return undefined;
  const digest = await subtle.digest('SHA-256', await (await file.open()).arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** An answer of the service, or what `fetch` throws where there was none; all else went wrong on this side. */
function isAnswer(error: unknown): boolean {
  return error instanceof TrainyardError || error instanceof TypeError;
}

/** Whether the next file may fare no better: anything but a refusal of this very file. */
function isOfTheService(error: unknown): boolean {
  return isAnswer(error) && !(error instanceof TrainyardError && [413, 415, 422].includes(error.status));
}

function raise(error: unknown): never {
  throw error;
}

/** With `fetch` alone nobody knows what has left before the answer. */
function sendBy(fetch: typeof globalThis.fetch): SendBody {
  return (link, body, { signal }) =>
    fetch(link.upload_url, { method: link.method, headers: link.headers, body, ...(signal && { signal }) });
}

/** Runs `work` over all items, `concurrency` at a time; after an error no more are begun, and it is thrown once all rest. */
async function eachOf<T>(items: readonly T[], concurrency: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items].reverse();
  const worker = async () => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
      await work(item).catch((error) => {
        queue.length = 0;
        throw error;
      });
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: concurrency }, worker));
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
