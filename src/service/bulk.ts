import { Readable } from 'node:stream';
import { withAnySignal } from '../abort-signals.js';
import { MAX_CAPTION_TEXT_BYTES } from '../api/limits.js';
import { stemGroupsOf } from '../dataset/counts.js';
import {
  type Author,
  type CaptionOrigin,
  type Micros,
  MICROS_PER_SECOND,
  type StoredFile,
  type WriteCondition,
} from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import { mediaTypeOf } from '../dataset/media.js';
import { parseFilename } from '../dataset/names.js';
import type { ErrorProblem } from '../dataset/problems.js';
import {
  type CurrentFile,
  PreconditionFailed,
  remove,
  requireCondition,
  type StemGroup,
  store,
  storedFileIn,
  withdrawUploads,
} from '../dataset/upload-transitions.js';
import { forEachConcurrent } from '../for-each-concurrent.js';
import { blobKeyOf } from '../storage/blobs/blobs.js';
import type { Catalog } from '../storage/catalog/catalog.js';
import type { FileChange } from '../storage/catalog/file-changes.js';
import { FairQueue } from '../storage/limits.js';
import { inspectFile } from './check.js';
import { type DatasetKey, datasetNotFound, fileNotFound, findRecord } from './datasets.js';
import type { ServiceDependencies } from './dependencies.js';

/** The condition of the file was not met. */
interface WriteConflict {
  readonly filename: string;
  readonly outcome: 'conflict';
  readonly current: CurrentFile | undefined;
}

export type RemovedFile = WriteConflict | { readonly filename: string; readonly outcome: 'removed' | 'missing' };

interface RemovedFiles {
  readonly files: readonly RemovedFile[];
  /** `undefined` if no stored file was removed. */
  readonly revision: number | undefined;
}

type Removal = (group: StemGroup, filename: string) => StemGroup | undefined;

export class FileRemovals {
  readonly #dependencies: Pick<ServiceDependencies, 'catalog' | 'now'>;

  constructor(dependencies: Pick<ServiceDependencies, 'catalog' | 'now'>) {
    this.#dependencies = dependencies;
  }

  /** Deletes a file and its uploads. @returns the revision without it @throws ServiceError `file_not_found`; PreconditionFailed */
  async file(
    key: DatasetKey,
    filename: string,
    { author, condition }: { author: Author; condition?: WriteCondition | undefined },
  ): Promise<number | undefined> {
    const conditions = new Map(condition === undefined ? [] : [[filename, condition]]);
    const { files, revision } = await this.files(key, [filename], { author, conditions });
    for (const removed of files) {
      if (removed.outcome === 'missing') throw fileNotFound(filename);
      if (removed.outcome === 'conflict') throw new PreconditionFailed(filename, removed.current);
    }
    return revision;
  }

  /** Deletes files, each if its condition is met. @returns the results in order @throws ServiceError `dataset_not_found` */
  files(
    key: DatasetKey,
    filenames: readonly string[],
    { author, conditions }: { author: Author; conditions: ReadonlyMap<string, WriteCondition> },
  ): Promise<RemovedFiles> {
    const removal: Removal = (group, filename) => remove(group, filename, conditions.get(filename));
    return this.#removeEach(key, filenames, removal, author);
  }

  /** Removes the unfinished uploads of a name, not a stored file. @throws ServiceError `dataset_not_found`, `file_not_found` */
  async upload(key: DatasetKey, filename: string): Promise<void> {
    const [removed] = await this.uploads(key, [filename]);
    if (removed?.outcome === 'removed') return;
    const message = `The dataset has no pending or rejected upload of ${JSON.stringify(filename)}.`;
    throw new ServiceError('file_not_found', message);
  }

  /** As `upload`, for many names. */
  async uploads(key: DatasetKey, filenames: readonly string[]): Promise<readonly RemovedFile[]> {
    return (await this.#removeEach(key, filenames, withdrawUploads)).files;
  }

  async #removeEach(
    key: DatasetKey,
    filenames: readonly string[],
    removal: Removal,
    author?: Author,
  ): Promise<RemovedFiles> {
    const { catalog, now } = this.#dependencies;
    await findRecord(catalog, key);
    const change = { datasetId: key.id, now: now(), isActivity: true, ...(author && { author }) };
    const items = filenames.map((filename) => ({ filename }));
    const { results, revision } = await changeEach<{ filename: string }, RemovedFile>(
      catalog,
      change,
      items,
      (group, { filename }) => {
        const next = removal(group, filename);
        return [next ?? group, { filename, outcome: next === undefined ? 'missing' : 'removed' }];
      },
    );
    return { files: results, revision };
  }
}

/**
 * Changes files of a dataset in one transaction, each if its condition is met.
 *
 * @param apply returns the changed group and the result for one file; throws PreconditionFailed
 * @returns the results in the order of `items`
 * @throws ServiceError `dataset_not_found`
 */
async function changeEach<T extends { readonly filename: string }, R>(
  catalog: Catalog,
  change: Omit<FileChange, 'filenames'>,
  items: readonly T[],
  apply: (group: StemGroup, item: T) => [StemGroup, R],
): Promise<{ results: (R | WriteConflict)[]; revision: number | undefined }> {
  const results = new Map<string, R | WriteConflict>();
  const byStem = stemGroupsOf(items);
  const filenames = items.map(({ filename }) => filename);
  const applyTo = (group: StemGroup, item: T): StemGroup => {
    const { filename } = item;
    try {
      const [next, result] = apply(group, item);
      results.set(filename, result);
      return next;
    } catch (error) {
      if (!(error instanceof PreconditionFailed)) throw error;
      results.set(filename, { filename, outcome: 'conflict', current: error.current });
      return group;
    }
  };
  const changed = await catalog.change({ ...change, filenames }, (group, stem) =>
    (byStem.get(stem) ?? []).reduce(applyTo, group),
  );
  if (changed === undefined) throw datasetNotFound(change.datasetId);
  return { results: filenames.map((filename) => results.get(filename)!), revision: changed.recordedIn };
}

/** For one request. Each waits for the disk or the bucket most of the time. */
const MAX_CONCURRENT_WRITES = 16;

/** For all requests: other operations wait behind writes that have begun. */
const WRITES_AT_ONCE = 64;

/** How long new bytes may stay in the trash, and what must be left when their row is written: more than a transaction takes. */
const TRASH_LIFETIME: Micros = 1200 * MICROS_PER_SECOND;
const TRASH_MARGIN: Micros = 300 * MICROS_PER_SECOND;

interface CaptionWrite {
  readonly filename: string;
  readonly text: string;
  readonly condition?: WriteCondition | undefined;
  /** A person by default. */
  readonly origin?: CaptionOrigin | undefined;
}

export type CaptionResult =
  | WriteConflict
  | { readonly filename: string; readonly outcome: 'saved'; readonly file: StoredFile }
  | { readonly filename: string; readonly outcome: 'rejected'; readonly problem: ErrorProblem };

interface SavedCaptions {
  readonly captions: readonly CaptionResult[];
  /** `undefined` if all captions are the same. */
  readonly revision: number | undefined;
}

/**
 * Saves captions without reservations, so that the dataset is never UPLOADING. Their bytes are listed in the trash until the
 * transaction that adds their rows, so that failures leave nothing.
 */
export class CaptionWrites {
  readonly #dependencies: ServiceDependencies;
  readonly #writes = new FairQueue(WRITES_AT_ONCE);

  constructor(dependencies: ServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Saves captions, each if its condition is met, in one transaction. If it throws, none is saved, except perhaps after
   * `unavailable`.
   *
   * @returns the results in the order given
   * @throws ServiceError `dataset_not_found`, `invalid_name`, `invalid_field`, `quota_exceeded`, `no_space`, `unavailable`
   */
  async save(
    key: DatasetKey,
    captions: readonly CaptionWrite[],
    { author, signal }: { author: Author; signal: AbortSignal },
  ): Promise<SavedCaptions> {
    const { catalog, now, newId } = this.#dependencies;
    const parsed = parseCaptions(captions).map((caption) => ({ ...caption, id: newId() }));
    await findRecord(catalog, key);
    const trashedUntil = now() + TRASH_LIFETIME;
    await catalog.trash.add(
      parsed.map(({ id }) => blobKeyOf({ id, datasetId: key.id })),
      trashedUntil,
    );
    const inspected = new Map<string, StoredFile | ErrorProblem>();
    await forEachConcurrent(parsed, MAX_CONCURRENT_WRITES, async (caption) => {
      // Each read stream adds a listener to its signal: one signal would have too many.
      const file = await withAnySignal([signal], (own) =>
        this.#writes.run(key.accountId, () => this.#write(key, caption, own), { signal: own }),
      );
      inspected.set(caption.filename, file);
    });
    if (now() > trashedUntil - TRASH_MARGIN) {
      throw new ServiceError('unavailable', 'Saving took too long and was ended. Save the captions again.');
    }
    const change = { datasetId: key.id, now: now(), isActivity: true, author };
    const { results, revision } = await changeEach<CaptionWrite, CaptionResult>(
      catalog,
      change,
      parsed,
      (group, caption) => {
        const { filename, condition } = caption;
        const file = inspected.get(filename)!;
        if ('upload' in file) return [store(group, file, condition), { filename, outcome: 'saved', file }];
        // As for an upload, the condition is checked before the text.
        requireCondition(condition, filename, storedFileIn(group, filename));
        return [group, { filename, outcome: 'rejected', problem: file }];
      },
    );
    return { captions: results, revision };
  }

  /** @returns the file without a row, or what is wrong with the text */
  async #write(
    { accountId, id: datasetId }: DatasetKey,
    { id, filename, text, origin = { by: 'person' } }: CaptionWrite & { id: string },
    signal: AbortSignal,
  ): Promise<StoredFile | ErrorProblem> {
    const bytes = Buffer.from(text);
    const limit = { bytes: bytes.length, message: `${filename} has more than ${bytes.length} bytes.` };
    const options = { key: blobKeyOf({ id, datasetId }), limit, accountId, signal };
    const staged = await this.#dependencies.blobs.stage(Readable.from([bytes], { objectMode: false }), options);
    const { sizeBytes, sha256, path } = staged;
    const file = { filename, sizeBytes, path };
    const { inspection } = await inspectFile(this.#dependencies, file, { accountId, signal }).catch(async (error) => {
      await staged.discard();
      throw error;
    });
    if (!inspection.ok) {
      await staged.discard();
      return inspection.problem;
    }
    const { version: blobVersion } = await staged.commit();
    const { contentType, facts, warnings } = inspection;
    const at = this.#dependencies.now();
    const stored = { sizeBytes, sha256, contentType, facts, warnings, blobVersion };
    const upload = { state: 'stored', ...stored, finalizedAt: at, origin } as const;
    return { id, datasetId, filename, kind: 'caption', createdAt: at, upload };
  }
}

function parseCaptions(captions: readonly CaptionWrite[]): CaptionWrite[] {
  const names = new Set<string>();
  return captions.map(({ filename: raw, text, condition, origin }, i) => {
    const filename = parseFilename(raw);
    const fault = (path: string, message: string) =>
      new ServiceError('invalid_field', `${filename} can't be saved: ${message}.`, {
        detail: [{ path: `captions.${i}.${path}`, message }],
      });
    if (mediaTypeOf(filename)?.kind !== 'caption')
      throw fault('filename', 'it is not a caption; its name must end in .txt or .json');
    if (names.has(filename)) throw fault('filename', 'the request has it twice');
    names.add(filename);
    if (/\p{Surrogate}/u.test(text)) throw fault('text', 'its text is not valid Unicode');
    if (Buffer.byteLength(text) > MAX_CAPTION_TEXT_BYTES) {
      throw fault('text', `its text has more than ${MAX_CAPTION_TEXT_BYTES} bytes; upload it as a file`);
    }
    return { filename, text, condition, origin };
  });
}
