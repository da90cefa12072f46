import type { WireDatasetChange as DatasetChange } from '../api/event-schemas.js';
import type { WireDataset, WireDatasetWithFiles } from '../api/schemas.js';
import type { WireRole } from '../api/values.js';
import * as calls from './calls.js';
import { DownloadLinks } from './download-links.js';
import { eventsIn } from './event-stream.js';
import { Push, type PushOptions } from './push.js';
import type { PushFile } from './push-file.js';
import {
  type CallOptions,
  type ClientOptions,
  type EventOptions,
  Requests,
  type RevisionOptions,
  type StreamOptions,
  type WriteOptions,
} from './requests.js';
import { sleep } from './retry.js';
import { TrainyardError } from './answers.js';

export type {
  WireNewShare as NewShare,
  WireNewToken as NewToken,
  WireRevokedToken as RevokedToken,
  WireToken as Token,
} from '../api/account-schemas.js';
export type {
  WireCaptionEndpoint as CaptionEndpoint,
  WireCaptionPreset as CaptionPreset,
  WireCaptionRun as CaptionRun,
  WireCaptionTest as CaptionTest,
  WireDecisions as CaptionDecisions,
  WireProposal as CaptionProposal,
  WireStartedRun as StartedCaptionRun,
} from '../api/caption-schemas.js';
export type { WireErrorCode as ErrorCode } from '../api/error-codes.js';
export type { WireRevision as Revision, WireRevisionDiff as RevisionDiff } from '../api/history-schemas.js';
export type {
  WireCaption as Caption,
  WireDataset as Dataset,
  WireDatasetWithFiles as DatasetWithFiles,
  WireDuplicateGroup as DuplicateGroup,
  WireDuplicates as Duplicates,
  WireFile as DatasetFile,
  WireFileKind as FileKind,
  WireFilePage as FilePage,
  WireGroup as Group,
  WireLink as Link,
  WireLinks as Links,
  WireLinkStates as LinkStates,
  WireManifest as Manifest,
  WireProblem as Problem,
  WireRecheck as Recheck,
  WireTarLink as TarLink,
} from '../api/schemas.js';
export type { WireLinkSlot as LinkSlot, WireRole as Role, WireStatus as Status } from '../api/values.js';
export type {
  WebhookEvent,
  WireDelivery as WebhookDelivery,
  WireWebhook as Webhook,
} from '../api/webhook-schemas.js';
export type { ExportOptions, NewTokenRights } from './calls.js';
export type { PushOptions, PushOutcome, PushProgress, PushResult, SendBody } from './push.js';
export type { PushFile } from './push-file.js';
export type { CallOptions, ChangeGroup, ClientOptions, RevisionOptions, WriteOptions } from './requests.js';
export { type DatasetChange, DownloadLinks, TrainyardError };

/** A change of one of the account's datasets; see `TrainyardClient.allEvents`. */
export type DatasetEvent =
  | { readonly type: 'open' }
  | { readonly type: 'dataset'; readonly dataset: WireDataset }
  | { readonly type: 'deleted'; readonly id: string };

export interface WaitOptions extends CallOptions {
  /** Called with every answer, the first one included. */
  readonly onStatus?: (dataset: WireDatasetWithFiles) => void;
}

/** For one request to trainyard. */
const WAIT_SECONDS = 30;

/** For services that answer without waiting. */
const POLL_INTERVAL_MS = 1000;

/**
 * A client of the Trainer dataset API. It needs only `fetch`, so it runs in browsers, Node, Deno and Bun. It works with any
 * service that has this API; methods marked "trainyard only" call endpoints that only trainyard has.
 *
 * Methods throw `TrainyardError` for an answer that is not a success, `TypeError` without one, and the signal's reason.
 *
 * @example
 * const client = new TrainyardClient({ baseUrl: 'http://127.0.0.1:8787', token: 'ty_…' });
 * const dataset = (await client.find('railway')) ?? (await client.create('railway'));
 * const { stored, unchanged, failed } = await client.push(dataset, files, { concurrency: 8 });
 * const { status, error } = await client.waitUntilReady(dataset.id);
 * for await (const { status, files } of client.events(dataset.id)) console.log(status, files?.length);
 * await client.upload(dataset.id, 'yard_01.txt', new Blob(['a freight yard at dusk']), { ifMatch: etag });
 * const text = await (await client.file(dataset.id, 'yard_01.txt')).text();
 */
export class TrainyardClient extends calls.Calls {
  readonly bulk = new calls.BulkCalls(this.requests);
  readonly captioning = new calls.CaptioningCalls(this.requests);
  readonly datasets = new calls.DatasetCalls(this.requests);
  readonly duplicates = new calls.DuplicateCalls(this.requests);
  readonly exports = new calls.ExportCalls(this.requests);
  readonly groups = new calls.GroupCalls(this.requests);
  readonly pairs = new calls.PairCalls(this.requests);
  readonly rechecks = new calls.RecheckCalls(this.requests);
  readonly sessions = new calls.SessionCalls(this.requests);
  readonly history = new calls.HistoryCalls(this.requests);
  readonly webhooks = new calls.WebhookCalls(this.requests);
  readonly tokens = new calls.TokenCalls(this.requests);
  readonly shares = new calls.ShareCalls(this.requests);

  /** Gets the token's rights and the account's usage. trainyard only. */
  readonly account = this.method('account.read');

  /** Lists one page of datasets, newest first; `next_cursor` is the `cursor` of the next page. trainyard only. */
  readonly page = this.method('dataset.list');

  /** Lists one page of files, ordered by filename; `next_after` is the `after` of the next page. trainyard only. */
  readonly files = this.method('files.list');

  /** Deletes a file, and its pending or rejected uploads. trainyard only. */
  readonly removeFile = this.removal('file.delete');

  /** Deletes the pending, rejected or expired upload of a filename; a stored file stays. trainyard only. */
  readonly withdraw = this.removal('upload.withdraw');

  /** Deletes a dataset and all its files. */
  readonly remove = this.removal('dataset.delete');

  /** @throws TypeError for an invalid `baseUrl`, or a token that no header can carry */
  constructor(options: ClientOptions) {
    super(new Requests(options));
  }

  /** Creates a dataset; the service can generate the name. Only trainyard has roles other than `training`. */
  create(name?: string, { role, ...options }: CallOptions & { role?: WireRole } = {}) {
    // A second attempt after a lost answer would fail or create another dataset.
    return this.requests.json('dataset.create', {}, { body: { name, role }, isRepeatable: false, ...options });
  }

  /** Lists all datasets, newest first. */
  async list(options: CallOptions = {}) {
    return (await this.page({}, options)).datasets;
  }

  /** Finds a dataset by id or, if there is none, by name. */
  async find(nameOrId: string, options: CallOptions = {}) {
    const name = nameOrId.normalize('NFC');
    // Other services ignore `name`, and answer with all datasets.
    const { datasets } = await this.page({ name }, options);
    const found = datasets.find(({ id }) => id === nameOrId) ?? datasets.find((dataset) => dataset.name === name);
    if (found !== undefined || datasets.length > 0) return found;
    return this.status(nameOrId, options).catch((error) => {
      if (error instanceof TrainyardError && error.status === 404) return undefined;
      throw error;
    });
  }

  /** With `waitSeconds` (at most 60), trainyard answers at READY, FAILED, or a change of the status. */
  status(id: string, { waitSeconds: wait, signal }: CallOptions & { waitSeconds?: number | undefined } = {}) {
    return this.requests.json('dataset.status', { id }, { query: { wait }, signal });
  }

  /** Polls until the dataset is READY or FAILED. */
  async waitUntilReady(id: string, { signal, onStatus }: WaitOptions = {}) {
    for (let waitSeconds: number | undefined; ; waitSeconds = WAIT_SECONDS) {
      // Not the time of day, which may be set back meanwhile.
      const requestedAt = performance.now();
      const dataset = await this.status(id, { waitSeconds, signal });
      onStatus?.(dataset);
      if (dataset.status === 'READY' || dataset.status === 'FAILED') return dataset;
      if (waitSeconds !== undefined)
        await sleep(Math.max(0, requestedAt + POLL_INTERVAL_MS - performance.now()), signal);
    }
  }

  /**
   * Yields the dataset and its changes until it is deleted or the connection ends. Without `files` and `absent`, any file may have
   * changed. With `linked`, also yields its controls and mask. trainyard only.
   */
  async *events(id: string, { linked, ...options }: EventOptions = {}): AsyncGenerator<DatasetChange> {
    const { datasetChangeOf } = await import('./contract.js');
    const query = { linked: linked === true ? ('true' as const) : undefined };
    const open = (signal: AbortSignal) => this.requests.response('dataset.events', { id }, { query, signal });
    for await (const { name, data } of eventsIn(open, options)) {
      if (name === 'deleted') return;
      if (name === 'dataset') yield datasetChangeOf(data);
    }
  }

  /**
   * Yields `open`, at which the datasets should be listed, and then every change until the connection ends. Then call it again.
   * trainyard only.
   */
  async *allEvents(options: StreamOptions = {}): AsyncGenerator<DatasetEvent> {
    const { datasetChangeOf } = await import('./contract.js');
    const open = (signal: AbortSignal) => this.requests.response('account.events', {}, { signal });
    for await (const { name, data } of eventsIn(open, options)) {
      if (name === 'open') yield { type: 'open' };
      if (name === 'dataset') yield { type: 'dataset', dataset: datasetChangeOf(data) };
      if (name === 'deleted') yield { type: 'deleted', id: (data as { id: string }).id };
    }
  }

  /** Uploads one file of at most 150,000,000 bytes. `ifMatch` replaces only the file that you have read. */
  upload(id: string, filename: string, bytes: Blob, options: WriteOptions = {}) {
    return this.requests.upload(id, { filename, bytes }, options);
  }

  /**
   * Returns an upload link for each filename and exact size. The dataset is UPLOADING until all are stored or expire. `ifMatch`
   * has the ETags of the files that are replaced; null: no such file (trainyard only).
   */
  async uploadLinks(
    id: string,
    filenameToByteSize: Record<string, number>,
    { ifMatch, ...options }: CallOptions & { ifMatch?: Record<string, string | null> } = {},
  ) {
    const call = { body: { filenameToByteSize, ...(ifMatch && { ifMatch }) }, ...options };
    return (await this.requests.json('upload.reserve', { id }, call)).uploads;
  }

  /**
   * Uploads files that the dataset does not have with the same SHA-256. All are reserved first, so that it stays UPLOADING until
   * the last is stored. Retries temporary failures; a file that fails for good is in `failed`.
   */
  push(dataset: { id: string }, files: readonly PushFile[], options: PushOptions = {}) {
    return new Push(this.requests, dataset.id, { ...options, files }).run();
  }

  /** The files that `push` would upload. */
  missing(
    dataset: { id: string },
    files: readonly PushFile[],
    options: Pick<PushOptions, 'concurrency' | 'signal'> = {},
  ) {
    return new Push(this.requests, dataset.id, { ...options, files }).missing();
  }

  /** Gets every file with its size, SHA-256 and facts: now, in a `revision` or in a kept `digest`. trainyard only. */
  manifest(id: string, { revision, digest, signal }: RevisionOptions & { digest?: string | undefined } = {}) {
    return this.requests.json('dataset.manifest', { id }, { query: { revision, digest }, signal });
  }

  /** Reads the bytes of a file, starting at the byte `from`. trainyard only. */
  file(id: string, filename: string, { from, revision, signal }: RevisionOptions & { from?: number } = {}) {
    const headers: Record<string, string> = from ? { range: `bytes=${from}-` } : {};
    return this.requests.response('file.read', { id, filename }, { query: { revision }, headers, signal });
  }

  /** Reads a small WebP of an image. trainyard only. */
  thumbnail(id: string, filename: string, { revision, signal }: RevisionOptions = {}) {
    return this.requests.response('file.thumbnail', { id, filename }, { query: { revision }, signal });
  }

  /** Gets links to the dataset's files that need no token, for `<img>`, `<video>` and downloads. trainyard only. */
  async downloadLinks(id: string, options: CallOptions = {}) {
    const link = await this.requests.json('files.download-link', { id }, options);
    return new DownloadLinks(this.requests.urlOf(`/${encodeURIComponent(id)}`), link);
  }

  /** A link to the tar archive of a READY state, with its controls and mask, for an hour or `seconds`. trainyard only. */
  tarLink(id: string, { signal, ...query }: RevisionOptions & { digest?: string | undefined; seconds?: number } = {}) {
    return this.requests.json('tar.link', { id }, { query, signal });
  }
}
