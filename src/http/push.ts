import type { TrainyardClient } from './client.js';
import { errorOf, TrainyardError } from './client-error.js';
import { withRetries } from './retry.js';
import type { WireFile, WireUploadLink } from './wire.js';

/** Files sent at once, unless told otherwise. */
const CONCURRENCY = 4;

/** Up to this size a SHA-256 is worked out here where none is given: the browser's own needs all bytes in memory. */
const MAX_BYTES_HASHED_HERE = 64 * 1024 * 1024;

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

/** Where a push stands. Bytes count once the service has acknowledged the file that they belong to. */
export interface PushProgress {
  readonly totalBytes: number;
  /** Of files that were stored, or were there already. */
  readonly acknowledgedBytes: number;
  /** Of files that could not be sent. */
  readonly failedBytes: number;
  readonly totalFiles: number;
  readonly settledFiles: number;
  /** Files under way; `sentBytes` have left here, and nobody has said yet that they arrived. */
  readonly inFlight: readonly { readonly name: string; readonly sentBytes: number; readonly totalBytes: number }[];
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
  readonly signal?: AbortSignal | undefined;
  /** In place of `fetch`, for runtimes that can tell what has left; must not throw for a status. */
  readonly send?: SendBody;
}

export interface PushResult {
  readonly stored: readonly string[];
  /** Were there already, with the same bytes. */
  readonly unchanged: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: Error }[];
}

/** As `TrainyardClient.push`. */
export async function pushFiles(
  client: TrainyardClient,
  id: string,
  files: readonly PushFile[],
  options: PushOptions & { attempts: number; fetch: typeof fetch },
): Promise<PushResult> {
  const { signal, attempts, concurrency = CONCURRENCY } = options;
  const progress = new Progress(files, options.onProgress);
  const there = new Map((await client.status(id, { signal })).files.map((file) => [file.filename, file]));
  await eachOf(files, concurrency, async (file) => {
    signal?.throwIfAborted();
    // A file that can't be read here can't be sent either, and says so then.
    const isThere = await isUnchanged(file, there.get(file.name.normalize('NFC'))).catch(() => false);
    if (isThere) progress.settle(file, 'unchanged');
  });
  const missing = files.filter((file) => !progress.isSettled(file));
  const sizes = missing.filter((file) => file.size > 0).map((file) => [file.name, file.size] as const);
  const links = new Map<string, WireUploadLink>();
  const promise = async (wanted: readonly (readonly [string, number])[]) => {
    const fresh = await client.uploadLinks(id, Object.fromEntries(wanted), { signal });
    for (const [name, link] of Object.entries(fresh)) links.set(name, link);
  };
  if (sizes.length > 0) await promise(sizes);

  const sendOnce = async (file: PushFile): Promise<void> => {
    const body = await file.open();
    if (body.size !== file.size) {
      throw new Error(`${file.name} changed while it was being sent: it has ${body.size} bytes now, not ${file.size}.`);
    }
    const link = links.get(file.name);
    // An empty file can't be promised; there is nothing of it to be sent twice either.
    if (link === undefined) return void (await client.upload(id, file.name, body, { signal }));
    const response = await (options.send ?? sendBy(options.fetch))(link, body, {
      signal,
      onSent: (sentBytes) => progress.sent(file, sentBytes),
    });
    if (!response.ok) throw await errorOf(response);
    await response.body?.cancel();
  };
  const send = async (file: PushFile): Promise<void> => {
    for (let tries = 1; ; tries++) {
      try {
        return await withRetries(() => sendOnce(file), { attempts, signal });
      } catch (error) {
        if (!(error instanceof TrainyardError)) throw error;
        // The first try may have arrived although its answer did not.
        if (error.status === 409 && (await isThere(client, id, file, signal))) return;
        if (error.status !== 403 || tries >= MAX_LINKS) throw error;
        await promise([[file.name, file.size]]);
      }
    }
  };
  await eachOf(missing, concurrency, async (file) => {
    progress.begin(file);
    try {
      await send(file);
      progress.settle(file, 'stored');
    } catch (error) {
      signal?.throwIfAborted();
      progress.settle(file, error instanceof Error ? error : new Error(String(error)));
    }
  });
  return progress.result();
}

async function isUnchanged(file: PushFile, there: WireFile | undefined): Promise<boolean> {
  if (there === undefined || there.size_bytes !== file.size || there.sha256 === undefined) return false;
  if (file.sha256 !== undefined) return (await file.sha256()) === there.sha256;
  if (file.size > MAX_BYTES_HASHED_HERE) return false;
  const digest = await crypto.subtle.digest('SHA-256', await (await file.open()).arrayBuffer());
  const hexadecimal = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hexadecimal === there.sha256;
}

async function isThere(
  client: TrainyardClient,
  id: string,
  file: PushFile,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { files } = await client.status(id, { signal });
  const name = file.name.normalize('NFC');
  return files.some(({ filename, size_bytes }) => filename === name && size_bytes === file.size);
}

/** With `fetch` alone nobody knows what has left before the answer. */
function sendBy(fetch: typeof globalThis.fetch): SendBody {
  return (link, body, { signal }) =>
    fetch(link.upload_url, { method: link.method, headers: link.headers, body, ...(signal && { signal }) });
}

/** Runs `work` over all items, `concurrency` at a time, and throws the first error once nothing is under way any more. */
async function eachOf<T>(items: readonly T[], concurrency: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: concurrency }, worker));
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

class Progress {
  readonly #files: readonly PushFile[];
  readonly #report: ((progress: PushProgress) => void) | undefined;
  readonly #outcomes = new Map<PushFile, 'stored' | 'unchanged' | Error>();
  readonly #inFlight = new Map<PushFile, number>();
  readonly #totalBytes: number;
  #acknowledgedBytes = 0;
  #failedBytes = 0;

  constructor(files: readonly PushFile[], report: ((progress: PushProgress) => void) | undefined) {
    this.#files = files;
    this.#totalBytes = files.reduce((sum, file) => sum + file.size, 0);
    this.#report = report;
  }

  isSettled(file: PushFile): boolean {
    return this.#outcomes.has(file);
  }

  begin(file: PushFile): void {
    this.sent(file, 0);
  }

  sent(file: PushFile, bytes: number): void {
    this.#inFlight.set(file, bytes);
    this.#tell();
  }

  settle(file: PushFile, outcome: 'stored' | 'unchanged' | Error): void {
    this.#outcomes.set(file, outcome);
    this.#inFlight.delete(file);
    if (outcome instanceof Error) this.#failedBytes += file.size;
    else this.#acknowledgedBytes += file.size;
    this.#tell();
  }

  result(): PushResult {
    const outcomes = [...this.#outcomes];
    const namesOf = (wanted: string) => outcomes.filter(([, outcome]) => outcome === wanted).map(([file]) => file.name);
    return {
      stored: namesOf('stored'),
      unchanged: namesOf('unchanged'),
      failed: outcomes.flatMap(([{ name }, outcome]) => (outcome instanceof Error ? [{ name, error: outcome }] : [])),
    };
  }

  #tell(): void {
    this.#report?.({
      totalBytes: this.#totalBytes,
      acknowledgedBytes: this.#acknowledgedBytes,
      failedBytes: this.#failedBytes,
      totalFiles: this.#files.length,
      settledFiles: this.#outcomes.size,
      inFlight: [...this.#inFlight].map(([{ name, size }, sentBytes]) => ({ name, sentBytes, totalBytes: size })),
    });
  }
}
