import {
  type PushOutcome,
  type PushProgress,
  type TrainyardClient,
  TrainyardError,
} from '../../../src/client/client.js';
import type { ImportedGroup } from '../../../src/dataset/import/entry-paths.js';
import { messageOf } from '../../ui/format.js';
import { etagsIn, type QueuedFile } from './queued-file.js';
import { replaceEntry } from './replace-entry.js';
import { send } from './send.js';
import { pauseOrOnline } from './wait-for-service.js';
import { withdrawAwaited } from './withdraw-awaited.js';

/** A file whose connection breaks in this many pushes, while the service is reachable, counts as failed. */
const MAX_BROKEN_CONNECTIONS = 3;

/** The service reserves ten thousand uploads in less than this. */
const RESERVING_MS = 3000;

export type BatchPhase =
  | { readonly state: 'queued' | 'checking' | 'sending' | 'replacing' | 'waiting' }
  | { readonly state: 'cancelling' | 'cancelled' | 'done' }
  | { readonly state: 'stopped'; readonly reason: string };

let lastKey = 0;

/** A file of a batch, and what has become of it. */
export interface BatchFile {
  readonly batch: UploadBatch;
  readonly file: QueuedFile;
  /**
   * `replacing`: sent, and to remove what it replaces once it is checked; `kept`: stored beside what it should have replaced;
   * `forgotten`: failed and dismissed, or cancelled.
   */
  state: 'unsent' | 'replacing' | 'uploaded' | 'kept' | 'failed' | 'forgotten';
  /** As in `QueuedFile`; known once the file is being sent. */
  etag: QueuedFile['etag'];
  brokenConnections: number;
  /** Of a failed one: it may still be pending. Later, another client may upload its name. */
  mayBePending: boolean;
  /** Why it failed or was kept. */
  reason: string;
  remedy: Remedy;
}

export interface BatchOptions {
  /** Number of hidden system files that were skipped. */
  readonly hidden: number;
  /** What is saved once the files are sent. */
  readonly groups?: readonly ImportedGroup[];
  readonly onChange: () => void;
  readonly onUploaded: (file: QueuedFile) => void;
}

/** Files that were added to a dataset together, and their progress. */
export class UploadBatch {
  /** Unique on this page. */
  readonly key = ++lastKey;
  readonly dataset: { readonly id: string; readonly name: string };
  readonly uploads: readonly BatchFile[];
  readonly byName: ReadonlyMap<string, BatchFile>;
  phase: BatchPhase = { state: 'queued' };
  inFlight: PushProgress['inFlight'] = [];
  #groups: readonly ImportedGroup[];
  #wasReserving = false;
  readonly options: BatchOptions;

  constructor(dataset: UploadBatch['dataset'], files: readonly QueuedFile[], options: BatchOptions) {
    this.options = options;
    this.#groups = options.groups ?? [];
    this.dataset = { id: dataset.id, name: dataset.name };
    const rest = { state: 'unsent', brokenConnections: 0, mayBePending: false, reason: '', remedy: 'retry' } as const;
    this.uploads = files.map((file) => ({ batch: this, file, etag: file.etag, ...rest }));
    this.byName = new Map(this.uploads.map((upload) => [upload.file.name, upload]));
  }

  in(...states: readonly BatchFile['state'][]): BatchFile[] {
    return this.uploads.filter(({ state }) => states.includes(state));
  }

  /** Whether files remain to be sent, or replaced: leaving the page would leave that undone. */
  get isUnfinished(): boolean {
    return this.phase.state !== 'cancelling' && this.in('unsent', 'replacing').length > 0;
  }

  /** Whether the batch is complete or cancelled. */
  get hasEnded(): boolean {
    return this.phase.state === 'done' || this.phase.state === 'cancelled';
  }

  get files(): { readonly total: number; readonly uploaded: number } {
    const uploaded = this.in('replacing', 'uploaded', 'kept').length;
    return { total: uploaded + this.in('unsent', 'failed').length, uploaded };
  }

  /** Names of the files still to be sent. */
  get unsentNames(): string[] {
    return this.isUnfinished ? this.in('unsent').map(({ file }) => file.name) : [];
  }

  /** Sends the files once. The batch is then done, has files to replace, or is queued again. @throws as the client does */
  async send(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    try {
      if (this.in('unsent').length > 0) await this.#push(client, signal);
    } finally {
      this.inFlight = [];
    }
    if (this.in('unsent').some(({ brokenConnections }) => brokenConnections > 0))
      throw new TypeError('A connection broke.');
    const pending = this.uploads.filter(({ mayBePending }) => mayBePending);
    if (pending.length > 0) await this.#withdraw(client, pending, signal);
    for (const upload of pending) upload.mayBePending = false;
    // A failed file may have been queued again meanwhile.
    if (this.in('unsent').length > 0) return this.requeue();
    await this.#saveGroups(client, signal);
    this.enter({ state: this.in('replacing').length > 0 ? 'replacing' : 'done' });
  }

  /** Removes what the uploaded files replace, once they are checked. @throws as the client does */
  async replace(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    for (const upload of this.in('replacing')) {
      const { file } = upload;
      const options = { name: file.name, replaces: file.replaces!, signal };
      const failed = await replaceEntry(client, this.dataset.id, options);
      if (failed?.why === 'rejected') this.#fail(upload, { reason: failed.reason, etag: file.etag, remedy: 'listed' });
      else {
        Object.assign(upload, failed === undefined ? { state: 'uploaded' } : { state: 'kept', reason: failed.reason });
        this.options.onUploaded(file);
      }
      this.options.onChange();
    }
    // A file may have been sent again meanwhile.
    this.enter({ state: this.in('unsent').length > 0 ? 'queued' : 'done' });
  }

  /** Withdraws the pending uploads of a cancelled batch, so that the dataset does not wait for them. */
  async withdraw(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    const open = this.uploads.filter(
      ({ state, mayBePending }) => mayBePending || state === 'unsent' || state === 'replacing',
    );
    await this.#withdraw(client, open, signal);
    if (this.#wasReserving) {
      // The request that reserves the uploads was aborted, but the service may still be executing it.
      await pauseOrOnline(RESERVING_MS, signal);
      await this.#withdraw(client, open, signal);
    }
    this.endCancelled();
  }

  /** Ends a cancelled batch. Pending uploads that were not withdrawn expire with their links. */
  endCancelled(): void {
    for (const upload of this.in('unsent')) upload.state = 'forgotten';
    for (const upload of this.in('replacing')) upload.state = 'uploaded';
    this.enter({ state: 'cancelled' });
  }

  cancel(): void {
    if (!this.isUnfinished) return;
    this.#wasReserving = this.phase.state === 'checking';
    this.phase = { state: 'cancelling' };
  }

  /** Puts an interrupted batch back in the queue. */
  requeue(): void {
    if (!this.hasEnded) this.enter({ state: 'queued' });
  }

  /** Queues a failed file again or, without one, all remaining files of a stopped batch. */
  retry(failed?: BatchFile): void {
    if (this.phase.state === 'cancelling') return;
    if (failed?.state === 'failed') {
      Object.assign(failed, { state: 'unsent', brokenConnections: 0, mayBePending: false });
    }
    if (this.hasEnded || this.phase.state === 'stopped') this.phase = { state: 'queued' };
  }

  async #push(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    this.enter({ state: 'checking' });
    const uploads = new Map(this.in('unsent').map((upload) => [upload.file, upload]));
    await client.push(this.dataset, [...uploads.keys()], {
      send,
      signal,
      ifMatch: await versionsToReplace(client, this.dataset.id, { uploads: [...uploads.values()], signal }),
      onFileFinished: (file, outcome) => this.#finish(uploads.get(file)!, outcome),
      onProgress: ({ inFlight }) => {
        this.inFlight = inFlight;
        if (inFlight.length > 0) this.enter({ state: 'sending' });
      },
    });
  }

  /** The groups of the files that were sent, which need not be stored yet. */
  async #saveGroups(client: TrainyardClient, signal: AbortSignal): Promise<void> {
    const left = new Set(this.in('failed', 'forgotten').map(({ file }) => file.name));
    for (const group of this.#groups) {
      const { name, change } = group;
      const add = change.add.filter((filename) => !left.has(filename));
      if (add.length > 0) await client.groups.save(this.dataset.id, name, { ...change, add }, { signal });
      // A failed file can be sent again. A group that is saved keeps its repeats.
      const settings = add.length > 0 ? {} : change;
      const rest = { name, change: { ...settings, add: change.add.filter((filename) => left.has(filename)) } };
      this.#groups = this.#groups.map((each) => (each === group ? rest : each));
    }
  }

  #finish(upload: BatchFile, outcome: PushOutcome): void {
    // The connection may have broken because the network was down: try again, but not forever.
    if (outcome instanceof TypeError && ++upload.brokenConnections < MAX_BROKEN_CONNECTIONS) return;
    if (outcome instanceof Error) {
      upload.mayBePending = !isOtherVersion(outcome);
      this.#fail(upload, failureOf(outcome, upload));
    } else if (upload.file.replaces !== undefined) upload.state = 'replacing';
    else {
      upload.state = 'uploaded';
      this.options.onUploaded(upload.file);
    }
  }

  #fail(upload: BatchFile, { reason, ...failed }: Pick<BatchFile, 'reason' | 'etag' | 'remedy'>): void {
    const { replaces } = upload.file;
    const kept = replaces === undefined ? '' : ` ${replaces.filename} was not replaced.`;
    Object.assign(upload, { state: 'failed', reason: reason + kept, ...failed });
  }

  async #withdraw(client: TrainyardClient, uploads: readonly BatchFile[], signal: AbortSignal): Promise<void> {
    const byName = new Map(uploads.map((upload) => [upload.file.name, upload]));
    for (const name of await withdrawAwaited(client, this.dataset.id, { names: new Set(byName.keys()), signal })) {
      const upload = byName.get(name)!;
      // Otherwise they are to be sent again.
      if (this.phase.state === 'cancelling' && upload.state === 'unsent') upload.state = 'forgotten';
    }
    this.options.onChange();
  }

  /** A cancelled batch can only end. */
  enter(phase: BatchPhase): void {
    if (this.phase.state === 'cancelling' && phase.state !== 'cancelled') return;
    this.phase = phase;
    this.options.onChange();
  }
}

/**
 * The versions that the uploads replace, by filename. Reads those that are not known yet.
 *
 * @throws as the client does; the signal's reason
 */
async function versionsToReplace(
  client: TrainyardClient,
  datasetId: string,
  { uploads, signal }: { uploads: readonly BatchFile[]; signal: AbortSignal },
): Promise<Record<string, string | null>> {
  const unknown = uploads.filter(({ etag }) => etag === undefined);
  if (unknown.length > 0) {
    const stored = etagsIn(await client.status(datasetId, { signal }));
    for (const upload of unknown) {
      const { name } = upload.file;
      upload.etag = stored.has(name) ? stored.get(name) : null;
    }
  }
  return Object.fromEntries(uploads.flatMap(({ file: { name }, etag }) => (etag === undefined ? [] : [[name, etag]])));
}

/**
 * What helps after a failure: to send the same bytes again, or to choose another file. The dataset itself lists an upload whose
 * content it rejected, with the reason and what helps.
 */
type Remedy = 'retry' | 'replace' | 'listed';

/** The user who is told of another version, and retries the upload, replaces that one. */
function failureOf(error: Error, { file: { name }, etag }: BatchFile): Pick<BatchFile, 'reason' | 'etag' | 'remedy'> {
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
function isOtherVersion(error: Error): boolean {
  return error instanceof TrainyardError && error.status === 412;
}
