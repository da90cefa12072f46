import type { WireFile, WireUploadLink, WireUploadedFile } from '../api/schemas.js';
import { untilAborted } from '../abort-signals.js';
import { TrainyardError, abortable, errorOf, shortJsonOf } from './answers.js';
import { type PushFile, compareContent, openFile } from './push-file.js';
import type { Requests } from './requests.js';
import { delayBefore, sleep, withRetries } from './retry.js';
import { forEachConcurrent } from '../for-each-concurrent.js';

const DEFAULT_CONCURRENCY = 4;

const MAX_LINKS = 5;

/** Sends a body and reports its progress. Must not throw for an HTTP status. */
export type SendBody = (
  link: WireUploadLink,
  body: Blob,
  options: { signal: AbortSignal | undefined; onSent: (sentBytes: number) => void },
) => Promise<Response>;

export interface PushOptions {
  /** 4 by default. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal | undefined;
  /** By filename, the ETag that is replaced; `null`: no file. Otherwise the file fails with 412. trainyard only. */
  readonly ifMatch?: Readonly<Record<string, string | null>> | undefined;
  /** Replaces `fetch` in runtimes that can report how many bytes have been sent. */
  readonly send?: SendBody;
  readonly onProgress?: (progress: PushProgress) => void;
  /** Called once for each finished file. `storedSha256` is missing where the service may still reject the file. */
  readonly onFileFinished?: (file: PushFile, outcome: PushOutcome, storedSha256?: string) => void;
}

/** See `TrainyardClient.push`. */
export class Push {
  readonly #requests: Requests;
  readonly #id: string;
  readonly #files: readonly PushFile[];
  readonly #options: PushOptions;
  readonly #concurrency: number;
  readonly #links = new Map<PushFile, WireUploadLink>();
  readonly #outcomes = new Map<PushFile, PushOutcome>();
  readonly #inFlight = new Map<PushFile, number>();
  readonly #totalBytes: number;
  #acknowledgedBytes = 0;
  #failedBytes = 0;
  #failedFiles = 0;
  /** At the start. */
  #stored: StoredFiles = new Map();

  constructor(requests: Requests, id: string, { files, ...options }: PushOptions & { files: readonly PushFile[] }) {
    this.#requests = requests;
    this.#id = id;
    this.#files = files;
    this.#options = options;
    this.#concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
    this.#totalBytes = files.reduce((sum, file) => sum + file.size, 0);
  }

  async run(): Promise<PushResult> {
    const { signal } = this.#options;
    const missing = await this.missing();
    // Another client may store the same bytes meanwhile; one request at the end tells.
    const changed = new Map<PushFile, Error>();
    const fail = (file: PushFile, error: Error) => {
      if (error instanceof TrainyardError && error.status === 412) changed.set(file, error);
      else this.#finish(file, error);
    };
    // The service makes no links for empty files; `upload` sends them.
    const rejected = await this.#reserve(missing.filter((file) => file.size > 0));
    for (const [file, error] of rejected) fail(file, error);
    const remaining = missing.filter((file) => !rejected.has(file));
    await forEachConcurrent(remaining, this.#concurrency, async (file) => {
      signal?.throwIfAborted();
      try {
        this.#finish(file, 'stored', await this.#send(file));
      } catch (error) {
        signal?.throwIfAborted();
        await this.#endAfter(error, file);
        fail(file, error instanceof Error ? error : new Error(String(error)));
      }
    });
    const now = changed.size === 0 ? this.#stored : await this.#storedFiles();
    for (const [file, error] of changed) {
      const isThere = (await compareContent(file, now.get(storedName(file)))) === 'same';
      this.#finish(file, isThere ? 'unchanged' : error);
    }
    return this.#result();
  }

  /** In their order, the files that are not known to be stored. */
  async missing(): Promise<PushFile[]> {
    this.#stored = await this.#storedFiles();
    await forEachConcurrent(this.#files, this.#concurrency, async (file) => {
      this.#options.signal?.throwIfAborted();
      const content = await compareContent(file, this.#stored.get(storedName(file)));
      if (content === 'same') this.#finish(file, 'unchanged');
    });
    return this.#files.filter((file) => !this.#outcomes.has(file));
  }

  /** Includes files that are still being checked. */
  async #storedFiles(): Promise<StoredFiles> {
    const call = { signal: this.#options.signal };
    const { files, checking = [] } = await this.#requests.json('dataset.status', { id: this.#id }, call);
    return new Map([...files, ...checking].map((file) => [file.filename, file]));
  }

  /** @returns the SHA-256 of a file that can't be rejected any more */
  async #send(file: PushFile): Promise<string | undefined> {
    const { signal, ifMatch } = this.#options;
    const { attempts } = this.#requests;
    this.#sent(file, 0);
    if (!this.#links.has(file)) {
      const options = { ifMatch: ifMatch?.[file.name], signal };
      const sent = { filename: file.name, bytes: await openFile(file) };
      return storedSha256In(await this.#requests.upload(this.#id, sent, options));
    }
    for (let used = 1; ; used++) {
      const link = this.#links.get(file)!;
      try {
        return await withRetries((one) => this.#sendOnce(file, link, one), { attempts, signal });
      } catch (error) {
        // 403: the link expired or was replaced. 409: it was used.
        if (!(error instanceof TrainyardError) || ![403, 409].includes(error.status)) throw error;
        // An earlier attempt, or another client, may have stored these bytes.
        if (error.status === 409 && (await this.#isStored(file))) return undefined;
        if (used >= MAX_LINKS) throw error;
        // Two clients upload the same file: each new link ends the other's upload, so one has to wait.
        if (error.code === 'link_withdrawn') await sleep(delayBefore(used, error), signal);
        const reason = (await this.#reserve([file])).get(file);
        if (reason !== undefined) throw reason;
      }
    }
  }

  async #sendOnce(file: PushFile, link: WireUploadLink, signal: AbortSignal | undefined) {
    const { send = sendWith(this.#requests.fetch) } = this.#options;
    this.#sent(file, 0);
    const body = await openFile(file);
    const answer = send(link, body, { signal, onSent: (sentBytes) => this.#sent(file, sentBytes) });
    const response = abortable(await untilAborted(answer, signal), signal);
    if (!response.ok) throw await errorOf(response);
    return storedSha256In(await shortJsonOf(response));
  }

  async #isStored(file: PushFile): Promise<boolean> {
    const name = storedName(file);
    const content = await compareContent(file, (await this.#storedFiles()).get(name));
    // Without a SHA-256, a stored file of the same size may be older than this push.
    return content === 'same' || (content === 'unknown' && this.#stored.get(name)?.size_bytes !== file.size);
  }

  /** Throws if the error ends the push: the service does not answer, the dataset is gone, or its disk is full. */
  async #endAfter(error: unknown, file: PushFile): Promise<void> {
    const { signal } = this.#options;
    const status = error instanceof TrainyardError ? error.status : undefined;
    if (status === 507) throw error;
    if (status !== undefined || error instanceof TypeError) {
      // These concern one file.
      if (![412, 413, 415, 422].includes(status ?? 0))
        await this.#requests.json('dataset.status', { id: this.#id }, { signal });
      return;
    }
    // A reservation of an unreadable file would keep the dataset UPLOADING; only trainyard can withdraw it.
    await this.#requests.remove('upload.withdraw', [this.#id, file.name, { signal }]).catch(() => {});
    signal?.throwIfAborted();
  }

  /** Reserves files together; without the rejected ones, once more. @returns the reasons, by file */
  async #reserve(files: readonly PushFile[]): Promise<Map<PushFile, Error>> {
    const { ifMatch = {}, signal } = this.#options;
    const rejected = new Map<PushFile, Error>();
    for (let remaining = files; remaining.length > 0; remaining = files.filter((file) => !rejected.has(file))) {
      const sizes = Object.fromEntries(remaining.map(({ name, size }) => [name, size]));
      const tags = Object.fromEntries(Object.entries(ifMatch).filter(([name]) => Object.hasOwn(sizes, name)));
      const conditions = Object.keys(tags).length === 0 ? {} : { ifMatch: tags };
      const call = { body: { filenameToByteSize: sizes, ...conditions }, signal };
      try {
        const { uploads: links } = await this.#requests.json('upload.reserve', { id: this.#id }, call);
        for (const file of remaining) {
          if (Object.hasOwn(links, file.name)) this.#links.set(file, links[file.name]!);
        }
        break;
      } catch (error) {
        const errors = error instanceof TrainyardError ? errorsByFilename(error) : new Map<string, TrainyardError>();
        for (const file of remaining) {
          const reason = errors.get(file.name) ?? errors.get(storedName(file));
          if (reason !== undefined) rejected.set(file, reason);
        }
        if (!remaining.some((file) => rejected.has(file))) throw error;
      }
    }
    return rejected;
  }

  #sent(file: PushFile, bytes: number): void {
    this.#inFlight.set(file, bytes);
    this.#report();
  }

  #finish(file: PushFile, outcome: PushOutcome, storedSha256?: string): void {
    this.#outcomes.set(file, outcome);
    this.#inFlight.delete(file);
    if (outcome instanceof Error) {
      this.#failedBytes += file.size;
      this.#failedFiles++;
    } else this.#acknowledgedBytes += file.size;
    this.#options.onFileFinished?.(file, outcome, storedSha256);
    this.#report();
  }

  #report(): void {
    this.#options.onProgress?.({
      totalBytes: this.#totalBytes,
      acknowledgedBytes: this.#acknowledgedBytes,
      failedBytes: this.#failedBytes,
      totalFiles: this.#files.length,
      finishedFiles: this.#outcomes.size,
      failedFiles: this.#failedFiles,
      inFlight: [...this.#inFlight].map(([{ name, size }, sentBytes]) => ({ name, sentBytes, totalBytes: size })),
    });
  }

  #result(): PushResult {
    const outcomes = [...this.#outcomes];
    const namesOf = (wanted: string) => outcomes.filter(([, outcome]) => outcome === wanted).map(([file]) => file.name);
    const failed = outcomes.flatMap(([{ name }, error]) => (error instanceof Error ? [{ name, error }] : []));
    return { stored: namesOf('stored'), unchanged: namesOf('unchanged'), failed };
  }
}

/** Missing where a check goes on, or a bucket has answered. */
function storedSha256In(answer: unknown): string | undefined {
  const { sha256, checking } = Object(answer) as Partial<WireUploadedFile>;
  return checking === true ? undefined : sha256;
}

function storedName(file: PushFile): string {
  return file.name.normalize('NFC');
}

type StoredFiles = ReadonlyMap<string, Pick<WireFile, 'filename' | 'size_bytes' | 'sha256'>>;

/** One error for each file that the error of a batch names. */
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

/** `fetch` reports no progress. */
function sendWith(fetch: typeof globalThis.fetch): SendBody {
  return ({ upload_url, method, headers = {} }, body, { signal }) =>
    fetch(upload_url, { method, headers, body, redirect: 'manual', ...(signal && { signal }) });
}

/** A file's bytes are acknowledged once the service has answered its upload with success. */
export interface PushProgress {
  readonly totalBytes: number;
  /** Stored and unchanged files. */
  readonly acknowledgedBytes: number;
  readonly failedBytes: number;
  readonly totalFiles: number;
  /** Stored, unchanged or failed. */
  readonly finishedFiles: number;
  readonly failedFiles: number;
  /** `sentBytes` are written to the network, but not acknowledged. */
  readonly inFlight: readonly { readonly name: string; readonly sentBytes: number; readonly totalBytes: number }[];
}

/** `unchanged`: the dataset had the same bytes. */
export type PushOutcome = 'stored' | 'unchanged' | Error;

/** The names of all pushed files, by outcome. */
export interface PushResult {
  readonly stored: readonly string[];
  readonly unchanged: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: Error }[];
}
