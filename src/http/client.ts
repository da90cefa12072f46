import { errorOf } from './client-error.js';
import { type PushFile, type PushOptions, type PushResult, pushFiles } from './push.js';
import { sleep, withRetries } from './retry.js';
import type {
  WireDataset,
  WireDatasetList,
  WireDatasetWithFiles,
  WireManifest,
  WireStatus,
  WireUploadedFile,
  WireUploadLink,
} from './wire.js';

export type { TrainyardError } from './client-error.js';
export type { PushFile, PushOptions, PushProgress, PushResult } from './push.js';
export type {
  WireDataset as Dataset,
  WireDatasetWithFiles as DatasetWithFiles,
  WireFile as DatasetFile,
  WireManifest as Manifest,
  WireProblem as Problem,
  WireStatus as Status,
} from './wire.js';

const BASE_PATH = '/prod/v1/trainers/datasets';

/** The longest that the service waits for a change before it answers, in seconds. */
const LONGEST_WAIT = 30;

/** Between two polls of a service that does not wait. */
const POLL_MS = 1000;

export interface ClientOptions {
  /** Where the service is, such as `https://data.example`; with or without the API's base path. */
  readonly baseUrl: string;
  readonly token: string;
  /** Tries of each request in all, where trying again may help; 5 unless told. */
  readonly attempts?: number;
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * A client of any service that speaks the Trainer dataset API, trainyard or other; what only trainyard has is used where it
 * is there, but for the calls that say otherwise. Needs nothing but `fetch`, so it runs in browsers, Node, Deno and Bun.
 *
 * Every call throws `TrainyardError` for an answer that is no success, `TypeError` where there is no answer, and the
 * signal's reason.
 */
export class TrainyardClient {
  readonly #base: string;
  readonly #token: string;
  readonly #attempts: number;
  readonly #fetch: typeof fetch;

  constructor({ baseUrl, token, attempts = 5, fetch = globalThis.fetch }: ClientOptions) {
    this.#base = baseUrl.replace(/\/+$/, '').replace(new RegExp(`${BASE_PATH}$`), '') + BASE_PATH;
    this.#token = token;
    this.#attempts = attempts;
    // Called as a method, the browser's own fetch refuses to work.
    this.#fetch = (...args) => fetch(...args);
  }

  /** Creates a dataset; the service makes up a name where none is given. */
  create(name?: string, options: CallOptions = {}): Promise<WireDataset> {
    // Not tried again: the first try may have made it.
    return this.#json('POST', '', { body: name === undefined ? {} : { name }, attempts: 1, ...options });
  }

  /** All datasets, newest first. */
  async list(options: CallOptions = {}): Promise<WireDataset[]> {
    return (await this.#json<WireDatasetList>('GET', '', options)).datasets;
  }

  /** One page of datasets. trainyard only. */
  page(
    query: { limit: number; cursor?: string; status?: WireStatus; name?: string },
    options: CallOptions = {},
  ): Promise<WireDatasetList> {
    const parameters = Object.entries(query).map(([key, value]): [string, string] => [key, String(value)]);
    return this.#json('GET', `?${new URLSearchParams(parameters)}`, options);
  }

  /** The dataset of that id or, failing that, of that name; `undefined` where there is none. */
  async find(nameOrId: string, options: CallOptions = {}): Promise<WireDataset | undefined> {
    const datasets = await this.list(options);
    const name = nameOrId.normalize('NFC');
    return datasets.find(({ id }) => id === nameOrId) ?? datasets.find((dataset) => dataset.name === name);
  }

  /** The dataset with its files; with `waitSeconds`, trainyard waits up to 60 s for it to be READY or FAILED or to change. */
  status(id: string, options: CallOptions & { waitSeconds?: number } = {}): Promise<WireDatasetWithFiles> {
    const query = options.waitSeconds === undefined ? '' : `?wait=${options.waitSeconds}`;
    return this.#json('GET', `${path(id)}/status${query}`, { signal: options.signal });
  }

  /** Polls until the dataset is READY or FAILED. `onStatus` is given what each poll found. */
  async waitUntilReady(
    id: string,
    options: CallOptions & { onStatus?: (dataset: WireDatasetWithFiles) => void } = {},
  ): Promise<WireDatasetWithFiles> {
    const { signal, onStatus } = options;
    for (;;) {
      const asked = Date.now();
      const dataset = await this.status(id, { waitSeconds: LONGEST_WAIT, signal });
      onStatus?.(dataset);
      if (dataset.status === 'READY' || dataset.status === 'FAILED') return dataset;
      await sleep(Math.max(0, asked + POLL_MS - Date.now()), signal);
    }
  }

  /** The dataset now, and after every change of its status or counts, until it is deleted. trainyard only. */
  async *events(id: string, options: CallOptions = {}): AsyncGenerator<WireDataset> {
    const response = await this.#request('GET', `${path(id)}/events`, options);
    if (response.body === null) return;
    let text = '';
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (text + part.value).split('\n\n');
        text = events.pop() ?? '';
        for (const event of events) {
          if (event.startsWith('event: deleted')) return;
          const data = /^data: (.*)$/m.exec(event)?.[1];
          if (data !== undefined) yield JSON.parse(data);
        }
      }
    } finally {
      await reader.cancel();
    }
  }

  /** Uploads one file of up to 150,000,000 bytes directly. */
  async upload(id: string, filename: string, bytes: Blob, options: CallOptions = {}): Promise<WireUploadedFile> {
    const send = async () => {
      const form = new FormData();
      form.append('file', bytes, filename);
      const response = await this.#once('POST', `${path(id)}/upload`, { body: form, signal: options.signal });
      return (await response.json()) as WireUploadedFile;
    };
    return withRetries(send, { attempts: this.#attempts, signal: options.signal });
  }

  /** Promises files, name to exact size in bytes, and gives a link for each, under the name as it was given. */
  async uploadLinks(
    id: string,
    filenameToByteSize: Record<string, number>,
    options: CallOptions = {},
  ): Promise<Record<string, WireUploadLink>> {
    const answer = await this.#json<{ uploads: Record<string, WireUploadLink> }>(
      'POST',
      `${path(id)}/get-upload-endpoint`,
      { body: { filenameToByteSize }, ...options },
    );
    return answer.uploads;
  }

  /**
   * Brings files into a dataset: those that are there already with the same SHA-256 are skipped, all others are promised
   * together, so that the dataset is UPLOADING until the last of them is there, and sent in parallel. What may pass by
   * itself is tried again; a file that can't be sent is in `failed`, and the others go on.
   */
  push(dataset: { id: string }, files: readonly PushFile[], options: PushOptions = {}): Promise<PushResult> {
    return pushFiles(this, dataset.id, files, { attempts: this.#attempts, fetch: this.#fetch, ...options });
  }

  /** Every file with size, SHA-256 and facts, and the digest of them all. trainyard only. */
  manifest(id: string, options: CallOptions = {}): Promise<WireManifest> {
    return this.#json('GET', `${path(id)}/manifest`, options);
  }

  /** The bytes of a file, from `from` on where that is given. trainyard only. */
  file(id: string, filename: string, options: CallOptions & { from?: number } = {}): Promise<Response> {
    const headers: Record<string, string> = options.from ? { range: `bytes=${options.from}-` } : {};
    return this.#request('GET', `${path(id)}/files/${encodeURIComponent(filename)}`, { ...options, headers });
  }

  /** A WebP of an image. trainyard only. */
  thumbnail(id: string, filename: string, options: CallOptions = {}): Promise<Response> {
    return this.#request('GET', `${path(id)}/files/${encodeURIComponent(filename)}/thumbnail`, options);
  }

  /** Removes a file, and what was refused or promised under its name. trainyard only. */
  async removeFile(id: string, filename: string, options: CallOptions = {}): Promise<void> {
    await this.#request('DELETE', `${path(id)}/files/${encodeURIComponent(filename)}`, options);
  }

  /** Deletes a dataset for good. */
  async remove(id: string, options: CallOptions = {}): Promise<void> {
    await this.#request('DELETE', path(id), options);
  }

  async #json<T>(method: string, target: string, init: RequestOptions): Promise<T> {
    return (await this.#request(method, target, init)).json() as Promise<T>;
  }

  #request(method: string, target: string, { body, ...init }: RequestOptions): Promise<Response> {
    const { attempts = this.#attempts, signal } = init;
    const headers = body === undefined ? init.headers : { ...init.headers, 'content-type': 'application/json' };
    const request = { headers, signal, ...(body !== undefined && { body: JSON.stringify(body) }) };
    return withRetries(() => this.#once(method, target, request), { attempts, signal });
  }

  async #once(
    method: string,
    target: string,
    { headers, body, signal }: CallOptions & { headers?: Record<string, string> | undefined; body?: FormData | string },
  ): Promise<Response> {
    const response = await this.#fetch(`${this.#base}${target}`, {
      method,
      headers: { ...headers, authorization: `Bearer ${this.#token}` },
      // A redirect could carry the token elsewhere, and the API has none.
      redirect: 'error',
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    });
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

interface RequestOptions extends CallOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly attempts?: number;
}

function path(id: string): string {
  return `/${encodeURIComponent(id)}`;
}
