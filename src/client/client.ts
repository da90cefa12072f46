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
import { type DatasetEvent, eventsIn } from './event-stream.js';
import { missingFiles, type PushOptions, pushFiles } from './push.js';
import type { PushFile } from './push-file.js';
import type { PushResult } from './push-progress.js';
import { RecheckCalls } from './recheck-calls.js';
import { type CallOptions, type ClientOptions, filePath, path, queryOf, Requests } from './requests.js';
import { withRetries } from './retry.js';
import { jsonOf, TrainyardError } from './trainyard-error.js';
import { type WaitOptions, waitUntilReady } from './wait-until-ready.js';

export type { WireErrorCode as ErrorCode } from '../api/error-codes.js';
export type { WireRecheck as Recheck } from '../api/recheck-schema.js';
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
export type { DatasetEvent } from './event-stream.js';
export type { PushOptions, SendBody } from './push.js';
export type { PushFile } from './push-file.js';
export type { PushOutcome, PushProgress, PushResult } from './push-progress.js';
export type { CallOptions, ClientOptions } from './requests.js';
export type { WaitOptions } from './wait-until-ready.js';
export { DatasetLinks, TrainyardError };

/**
 * A client of the Trainer dataset API. It needs only `fetch`, so it runs in browsers, Node, Deno and Bun. It works with any
 * service that has this API; methods marked "trainyard only" call endpoints that only trainyard has.
 *
 * Every method throws `TrainyardError` for an answer that is not a success, `TypeError` if there is no answer, and the
 * signal's reason if it is aborted.
 *
 * @example
 * const client = new TrainyardClient({ baseUrl: 'http://127.0.0.1:8787', token: 'ty_…' });
 */
export class TrainyardClient {
  readonly rechecks: RecheckCalls;
  readonly #requests: Requests;

  /** @throws TypeError if `baseUrl` is not a URL */
  constructor(options: ClientOptions) {
    this.#requests = new Requests(options);
    this.rechecks = new RecheckCalls(this.#requests);
  }

  /**
   * Creates a dataset. Without a name, the service generates one.
   * @example const dataset = await client.create('railway');
   */
  create(name?: string, options: CallOptions = {}): Promise<WireDataset> {
    // Not retried: if the first attempt succeeded and its answer was lost, a second one would fail or create another.
    return this.#requests.json('POST', '', { body: name === undefined ? {} : { name }, attempts: 1, ...options });
  }

  /**
   * Lists all datasets, newest first.
   * @example for (const { name, status } of await client.list()) console.log(name, status);
   */
  async list(options: CallOptions = {}): Promise<WireDataset[]> {
    return (await this.#requests.json<WireDatasetList>('GET', '', options)).datasets;
  }

  /**
   * Lists one page of datasets, newest first; `next_cursor` is the `cursor` of the next page. trainyard only.
   * @example const { datasets, next_cursor } = await client.page({ limit: 20, status: 'READY' });
   */
  page(
    query: { limit: number; cursor?: string; status?: WireStatus; name?: string },
    options: CallOptions = {},
  ): Promise<WireDatasetList> {
    return this.#requests.json('GET', queryOf(query), options);
  }

  /**
   * Finds the dataset with this id or, if there is none, with this name.
   * @example const dataset = (await client.find('railway')) ?? (await client.create('railway'));
   */
  async find(nameOrId: string, options: CallOptions = {}): Promise<WireDataset | undefined> {
    const datasets = await this.list(options);
    const name = nameOrId.normalize('NFC');
    return datasets.find(({ id }) => id === nameOrId) ?? datasets.find((dataset) => dataset.name === name);
  }

  /**
   * Gets the dataset with its files. With `waitSeconds` (at most 60), trainyard answers when the status is READY or FAILED
   * or changes, or when the time is over.
   * @example const { status, files } = await client.status(dataset.id);
   */
  status(id: string, options: CallOptions & { waitSeconds?: number | undefined } = {}): Promise<WireDatasetWithFiles> {
    const query = options.waitSeconds === undefined ? '' : `?wait=${options.waitSeconds}`;
    return this.#requests.json('GET', `${path(id)}/status${query}`, { signal: options.signal });
  }

  /**
   * Polls until the dataset is READY or FAILED.
   * @example const { status, error } = await client.waitUntilReady(dataset.id);
   */
  waitUntilReady(id: string, options: WaitOptions = {}): Promise<WireDatasetWithFiles> {
    const status = (waitSeconds?: number) => this.status(id, { waitSeconds, signal: options.signal });
    return waitUntilReady(status, options);
  }

  /**
   * Yields the dataset, and again after each change of its status or counts, until it is deleted. trainyard only.
   * @example for await (const { status, counts } of client.events(dataset.id)) console.log(status, counts.pending);
   */
  async *events(id: string, options: CallOptions = {}): AsyncGenerator<WireDataset> {
    for await (const { name, data } of eventsIn(await this.#requests.response('GET', `${path(id)}/events`, options))) {
      if (name === 'deleted') return;
      if (name === 'dataset') yield data as WireDataset;
    }
  }

  /**
   * Yields `open` once the service reports changes, then each dataset that changes and the id of each that is deleted. List
   * the datasets at `open`: no later change is missed. Ends when the service closes the connection; then call it again.
   * trainyard only.
   * @example for await (const event of client.allEvents()) if (event.type === 'dataset') console.log(event.dataset.name);
   */
  async *allEvents(options: CallOptions = {}): AsyncGenerator<DatasetEvent> {
    for await (const { name, data } of eventsIn(await this.#requests.response('GET', '/events', options))) {
      if (name === 'open') yield { type: 'open' };
      if (name === 'dataset') yield { type: 'dataset', dataset: data as WireDataset };
      if (name === 'deleted') yield { type: 'deleted', id: (data as { id: string }).id };
    }
  }

  /**
   * Uploads one file of at most 150,000,000 bytes in one request.
   * @example await client.upload(dataset.id, 'yard_01.txt', new Blob(['a freight yard at dusk']));
   */
  async upload(id: string, filename: string, bytes: Blob, options: CallOptions = {}): Promise<WireUploadedFile> {
    const send = async (signal: AbortSignal | undefined) => {
      const form = new FormData();
      form.append('file', bytes, filename);
      return jsonOf<WireUploadedFile>(await this.#requests.once('POST', `${path(id)}/upload`, { body: form, signal }));
    };
    return withRetries(send, { attempts: this.#requests.attempts, signal: options.signal });
  }

  /**
   * Reserves files by filename and exact size in bytes, and returns a link for each, under the filename as it was given. The
   * dataset is UPLOADING until all of them are stored or their links expire.
   * @example
   * const { 'clip.mp4': link } = await client.uploadLinks(dataset.id, { 'clip.mp4': clip.size });
   * await fetch(link!.upload_url, { method: 'PUT', headers: link!.headers, body: clip });
   */
  async uploadLinks(
    id: string,
    filenameToByteSize: Record<string, number>,
    options: CallOptions = {},
  ): Promise<Record<string, WireUploadLink>> {
    const body = { filenameToByteSize };
    const target = `${path(id)}/get-upload-endpoint`;
    const request = { body, ...options };
    return (await this.#requests.json<{ uploads: Record<string, WireUploadLink> }>('POST', target, request)).uploads;
  }

  /**
   * Uploads files concurrently. Skips files that the dataset has with the same SHA-256. Reserves the others together first,
   * so that the dataset is UPLOADING until the last one is stored. Retries temporary failures. A file that can't be uploaded
   * is in `failed`, and the others continue.
   * @example const { stored, unchanged, failed } = await client.push(dataset, files, { concurrency: 8 });
   */
  push(dataset: { id: string }, files: readonly PushFile[], options: PushOptions = {}): Promise<PushResult> {
    const { attempts, fetch } = this.#requests;
    return pushFiles(this, dataset.id, files, { attempts, fetch, ...options });
  }

  /**
   * Returns the files that `push` would upload: those that the dataset does not have with the same SHA-256.
   * @example const changed = await client.missing(dataset, files);
   */
  missing(
    dataset: { id: string },
    files: readonly PushFile[],
    options: Pick<PushOptions, 'concurrency' | 'signal'> = {},
  ): Promise<PushFile[]> {
    return missingFiles(this, dataset.id, files, options);
  }

  /**
   * Gets every file with its size, SHA-256 and facts, and the digest of a READY dataset. trainyard only.
   * @example const { digest, files } = await client.manifest(dataset.id);
   */
  manifest(id: string, options: CallOptions = {}): Promise<WireManifest> {
    return this.#requests.json('GET', `${path(id)}/manifest`, options);
  }

  /**
   * Lists one page of files, ordered by filename; `next_after` is the `after` of the next page. trainyard only.
   * @example const { files, next_after } = await client.files(dataset.id, { limit: 100, kind: 'image' });
   */
  files(
    id: string,
    query: { limit: number; kind?: WireFileKind; after?: string },
    options: CallOptions = {},
  ): Promise<WireFilePage> {
    return this.#requests.json('GET', `${path(id)}/files${queryOf(query)}`, options);
  }

  /**
   * Reads the bytes of a file, starting at the byte `from`. trainyard only.
   * @example const text = await (await client.file(dataset.id, 'yard_01.txt')).text();
   */
  file(id: string, filename: string, options: CallOptions & { from?: number } = {}): Promise<Response> {
    const headers: Record<string, string> = options.from ? { range: `bytes=${options.from}-` } : {};
    return this.#requests.response('GET', filePath(id, filename), { ...options, headers });
  }

  /**
   * Reads up to 1,000 files as one tar archive, in the order of the filenames given. trainyard only.
   * @example const { body } = await client.archive(dataset.id, ['yard_01.jpg', 'yard_01.txt']);
   */
  archive(id: string, filenames: readonly string[], options: CallOptions = {}): Promise<Response> {
    return this.#requests.response('POST', `${path(id)}/archive`, { body: { filenames }, ...options });
  }

  /**
   * Reads a small WebP of an image. trainyard only.
   * @example const thumbnail = await (await client.thumbnail(dataset.id, 'yard_01.jpg')).blob();
   */
  thumbnail(id: string, filename: string, options: CallOptions = {}): Promise<Response> {
    return this.#requests.response('GET', `${filePath(id, filename)}/thumbnail`, options);
  }

  /**
   * Reads the texts of captions, in the order of the filenames given. A byte order mark is removed and nothing else. The
   * text of a caption over 64 KiB is `null`; read it with `file`. trainyard only.
   * @example const [caption] = await client.captions(dataset.id, ['yard_01.txt']);
   */
  async captions(id: string, filenames: readonly string[], options: CallOptions = {}): Promise<WireCaption[]> {
    const captions: WireCaption[] = [];
    for (let from = 0; from < filenames.length; from += MAX_NAMES_PER_REQUEST) {
      const body = { filenames: filenames.slice(from, from + MAX_NAMES_PER_REQUEST) };
      const request = { body, ...options };
      const answer = await this.#requests.json<{ captions: WireCaption[] }>('POST', `${path(id)}/captions`, request);
      captions.push(...answer.captions);
    }
    return captions;
  }

  /**
   * Gets links to the dataset's files that need no token, for `<img>`, `<video>` and downloads. trainyard only.
   * @example image.src = (await client.links(dataset.id)).thumbnail({ filename: 'yard_01.jpg' });
   */
  async links(id: string, options: CallOptions = {}): Promise<DatasetLinks> {
    const link = await this.#requests.json<WireReadLink>('GET', `${path(id)}/links`, options);
    return new DatasetLinks(this.#requests.urlOf(path(id)), link);
  }

  /**
   * Deletes a file, and any pending or rejected upload of its name. trainyard only.
   * @example await client.removeFile(dataset.id, 'yard_01.jpg');
   */
  removeFile(id: string, filename: string, options: CallOptions = {}): Promise<void> {
    return this.#requests.remove(filePath(id, filename), options);
  }

  /**
   * Deletes the pending, rejected or expired upload of a filename. A stored file of that name stays. trainyard only.
   * @example await client.withdraw(dataset.id, 'clip.mp4');
   */
  withdraw(id: string, filename: string, options: CallOptions = {}): Promise<void> {
    return this.#requests.remove(`${path(id)}/uploads/${encodeURIComponent(filename)}`, options);
  }

  /**
   * Deletes a dataset and all its files.
   * @example await client.remove(dataset.id);
   */
  remove(id: string, options: CallOptions = {}): Promise<void> {
    return this.#requests.remove(path(id), options);
  }
}
