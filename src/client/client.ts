import { MAX_NAMES_PER_REQUEST } from '../api/limits.js';
import type {
  WireCaption,
  WireDataset,
  WireDatasetList,
  WireDatasetWithFiles,
  WireFileKind,
  WireFilePage,
  WireManifest,
  WireReadLink,
  WireStatus,
  WireUploadedFile,
  WireUploadLink,
} from '../api/schemas.js';
import { DatasetLinks } from './dataset-links.js';
import { eventsIn } from './event-stream.js';
import { missingFiles, type PushOptions, pushFiles } from './push.js';
import type { PushFile } from './push-file.js';
import type { PushResult } from './push-progress.js';
import { type CallOptions, type ClientOptions, Requests } from './requests.js';
import { sleep, withRetries } from './retry.js';
import { jsonOf, TrainyardError } from './trainyard-error.js';

export type { WireErrorCode as ErrorCode } from '../api/error-codes.js';
export type {
  WireCaption as Caption,
  WireDataset as Dataset,
  WireDatasetWithFiles as DatasetWithFiles,
  WireFile as DatasetFile,
  WireFileKind as FileKind,
  WireFilePage as FilePage,
  WireManifest as Manifest,
  WireProblem as Problem,
  WireStatus as Status,
} from '../api/schemas.js';
export type { PushOptions, SendBody } from './push.js';
export type { PushFile } from './push-file.js';
export type { PushOutcome, PushProgress, PushResult } from './push-progress.js';
export type { CallOptions, ClientOptions } from './requests.js';
// `TrainyardError` is what `catch` finds, so that callers can ask `error instanceof TrainyardError`.
export { DatasetLinks, TrainyardError };

/** The longest that the service waits for a change before it answers, in seconds. */
const LONGEST_WAIT = 30;

/** Between two polls of a service that does not wait. */
const POLL_MS = 1000;

export type DatasetEvent =
  | { readonly type: 'open' }
  | { readonly type: 'dataset'; readonly dataset: WireDataset }
  | { readonly type: 'deleted'; readonly id: string };

/**
 * A client of any service that speaks the Trainer dataset API, trainyard or other; what only trainyard has is used where it
 * is there, but for the calls that say otherwise. Needs nothing but `fetch`, so it runs in browsers, Node, Deno and Bun.
 *
 * Every call throws `TrainyardError` for an answer that is no success, `TypeError` where there is no answer, and the
 * signal's reason.
 */
export class TrainyardClient {
  readonly #requests: Requests;

  /** @throws TypeError where `baseUrl` is no URL */
  constructor(options: ClientOptions) {
    this.#requests = new Requests(options);
  }

  /** Creates a dataset; the service makes up a name where none is given. */
  create(name?: string, options: CallOptions = {}): Promise<WireDataset> {
    // Not tried again: the first try may have made it.
    return this.#requests.json('POST', '', { body: name === undefined ? {} : { name }, attempts: 1, ...options });
  }

  /** All datasets, newest first. */
  async list(options: CallOptions = {}): Promise<WireDataset[]> {
    return (await this.#requests.json<WireDatasetList>('GET', '', options)).datasets;
  }

  /** One page of datasets. trainyard only. */
  page(
    query: { limit: number; cursor?: string; status?: WireStatus; name?: string },
    options: CallOptions = {},
  ): Promise<WireDatasetList> {
    return this.#requests.json('GET', queryOf(query), options);
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
    return this.#requests.json('GET', `${path(id)}/status${query}`, { signal: options.signal });
  }

  /** Asks until the dataset is READY or FAILED. `onStatus` is given every answer, the first one at once. */
  async waitUntilReady(
    id: string,
    options: CallOptions & { onStatus?: (dataset: WireDatasetWithFiles) => void } = {},
  ): Promise<WireDatasetWithFiles> {
    const { signal, onStatus } = options;
    let dataset = await this.status(id, { signal });
    onStatus?.(dataset);
    while (dataset.status !== 'READY' && dataset.status !== 'FAILED') {
      const asked = Date.now();
      dataset = await this.status(id, { waitSeconds: LONGEST_WAIT, signal });
      onStatus?.(dataset);
      if (dataset.status === 'UPLOADING' || dataset.status === 'DRAFT') {
        await sleep(Math.max(0, asked + POLL_MS - Date.now()), signal);
      }
    }
    return dataset;
  }

  /** The dataset now, and after every change of its status or counts, until it is deleted. trainyard only. */
  async *events(id: string, options: CallOptions = {}): AsyncGenerator<WireDataset> {
    for await (const { name, data } of eventsIn(await this.#requests.response('GET', `${path(id)}/events`, options))) {
      if (name === 'deleted') return;
      if (name === 'dataset') yield data as WireDataset;
    }
  }

  /**
   * `open` once nothing is missed any more, which is the moment to ask for the list, and then every dataset after each of its
   * changes, and the ids of those that are deleted. Ends when the service ends it, for one as changes may have been missed:
   * then call it again. trainyard only.
   */
  async *allEvents(options: CallOptions = {}): AsyncGenerator<DatasetEvent> {
    for await (const { name, data } of eventsIn(await this.#requests.response('GET', '/events', options))) {
      if (name === 'open') yield { type: 'open' };
      if (name === 'dataset') yield { type: 'dataset', dataset: data as WireDataset };
      if (name === 'deleted') yield { type: 'deleted', id: (data as { id: string }).id };
    }
  }

  /** Uploads one file of up to 150,000,000 bytes directly. */
  async upload(id: string, filename: string, bytes: Blob, options: CallOptions = {}): Promise<WireUploadedFile> {
    const send = async (signal: AbortSignal | undefined) => {
      const form = new FormData();
      form.append('file', bytes, filename);
      return jsonOf<WireUploadedFile>(await this.#requests.once('POST', `${path(id)}/upload`, { body: form, signal }));
    };
    return withRetries(send, { attempts: this.#requests.attempts, signal: options.signal });
  }

  /** Promises files, name to exact size in bytes, and gives a link for each, under the name as it was given. */
  async uploadLinks(
    id: string,
    filenameToByteSize: Record<string, number>,
    options: CallOptions = {},
  ): Promise<Record<string, WireUploadLink>> {
    const answer = await this.#requests.json<{ uploads: Record<string, WireUploadLink> }>(
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
    return pushFiles(this, dataset.id, files, {
      attempts: this.#requests.attempts,
      fetch: this.#requests.fetch,
      ...options,
    });
  }

  /** Those of the files that `push` would send: all but those that are there already with the same SHA-256. */
  missing(
    dataset: { id: string },
    files: readonly PushFile[],
    options: Pick<PushOptions, 'concurrency' | 'signal'> = {},
  ): Promise<PushFile[]> {
    return missingFiles(this, dataset.id, files, options);
  }

  /** Every file with size, SHA-256 and facts, and the digest of them all. trainyard only. */
  manifest(id: string, options: CallOptions = {}): Promise<WireManifest> {
    return this.#requests.json('GET', `${path(id)}/manifest`, options);
  }

  /** Some files at a time, in the order of their names; `next_after` is the `after` of the next page. trainyard only. */
  files(
    id: string,
    query: { limit: number; kind?: WireFileKind; after?: string },
    options: CallOptions = {},
  ): Promise<WireFilePage> {
    return this.#requests.json('GET', `${path(id)}/files${queryOf(query)}`, options);
  }

  /** The bytes of a file, from `from` on where that is given. trainyard only. */
  file(id: string, filename: string, options: CallOptions & { from?: number } = {}): Promise<Response> {
    const headers: Record<string, string> = options.from ? { range: `bytes=${options.from}-` } : {};
    return this.#requests.response('GET', `${path(id)}/files/${encodeURIComponent(filename)}`, { ...options, headers });
  }

  /** The bytes of up to 1,000 files, as one tar archive in the order of the names. trainyard only. */
  archive(id: string, filenames: readonly string[], options: CallOptions = {}): Promise<Response> {
    return this.#requests.response('POST', `${path(id)}/archive`, { body: { filenames }, ...options });
  }

  /** A WebP of an image. trainyard only. */
  thumbnail(id: string, filename: string, options: CallOptions = {}): Promise<Response> {
    return this.#requests.response('GET', `${path(id)}/files/${encodeURIComponent(filename)}/thumbnail`, options);
  }

  /**
   * The texts of captions, in the order of the names. A byte order mark is left out, and nothing else: what is saved again
   * unchanged has lost only that. The text of a caption over 64 KiB is `null`; `file` gives its bytes. trainyard only.
   */
  async captions(id: string, filenames: readonly string[], options: CallOptions = {}): Promise<WireCaption[]> {
    const captions: WireCaption[] = [];
    for (let from = 0; from < filenames.length; from += MAX_NAMES_PER_REQUEST) {
      const body = { filenames: filenames.slice(from, from + MAX_NAMES_PER_REQUEST) };
      const answer = await this.#requests.json<{ captions: WireCaption[] }>('POST', `${path(id)}/captions`, {
        body,
        ...options,
      });
      captions.push(...answer.captions);
    }
    return captions;
  }

  /** Ways to read the dataset's files that need no token, for `<img>`, `<video>` and downloads. trainyard only. */
  async links(id: string, options: CallOptions = {}): Promise<DatasetLinks> {
    const link = await this.#requests.json<WireReadLink>('GET', `${path(id)}/links`, options);
    return new DatasetLinks(this.#requests.urlOf(path(id)), link);
  }

  /** Removes a file, and what was refused or promised under its name. trainyard only. */
  removeFile(id: string, filename: string, options: CallOptions = {}): Promise<void> {
    return this.#requests.remove(`${path(id)}/files/${encodeURIComponent(filename)}`, options);
  }

  /** Removes what was promised, refused or never kept under a name; a good file of that name stays. trainyard only. */
  withdraw(id: string, filename: string, options: CallOptions = {}): Promise<void> {
    return this.#requests.remove(`${path(id)}/uploads/${encodeURIComponent(filename)}`, options);
  }

  /** Deletes a dataset for good. */
  remove(id: string, options: CallOptions = {}): Promise<void> {
    return this.#requests.remove(path(id), options);
  }
}

function queryOf(query: Record<string, string | number | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) parameters.set(key, String(value));
  return `?${parameters}`;
}

function path(id: string): string {
  return `/${encodeURIComponent(id)}`;
}
