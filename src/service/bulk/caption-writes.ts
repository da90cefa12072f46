import { Readable } from 'node:stream';
import { withAnySignal } from '../../abort-signals.js';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import { stemGroupsOf } from '../../dataset/counts.js';
import {
  type Author,
  MICROS_PER_SECOND,
  type Micros,
  type StoredFile,
  type WriteCondition,
} from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { parseFilename } from '../../dataset/names.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import { type StemGroup, store } from '../../dataset/upload-transitions.js';
import { type CurrentFile, PreconditionFailed } from '../../dataset/write-condition.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { blobKeyOf } from '../../storage/blobs/blobs.js';
import type { ChangedDataset } from '../../storage/catalog/file-changes.js';
import { FairQueue } from '../../storage/fair-queue.js';
import { inspectFile } from '../check/inspect-file.js';
import { type DatasetKey, datasetNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

/** Of one request. Each waits for the disk or the bucket most of the time. */
const MAX_CONCURRENT_WRITES = 16;

/** Of all requests: other operations of the store wait behind those that were begun before. */
const WRITES_AT_ONCE = 64;

/** A transaction blocks all other writes, so many captions are saved in several. */
const CAPTIONS_PER_TRANSACTION = 250;

/**
 * How long new bytes may stay in the trash until a row refers to them, and how much of that must be left at that moment: longer
 * than any transaction takes.
 */
const TRASH_LIFETIME: Micros = 3600 * MICROS_PER_SECOND;
const TRASH_MARGIN: Micros = 600 * MICROS_PER_SECOND;

export interface CaptionWrite {
  readonly filename: string;
  readonly text: string;
  readonly condition?: WriteCondition | undefined;
}

/** What became of one caption. */
export type CaptionResult =
  | { readonly filename: string; readonly outcome: 'saved'; readonly file: StoredFile }
  | { readonly filename: string; readonly outcome: 'conflict'; readonly current: CurrentFile | undefined }
  | { readonly filename: string; readonly outcome: 'rejected'; readonly problem: ErrorProblem };

export interface SavedCaptions {
  readonly captions: readonly CaptionResult[];
  /** The last revision of these changes; `undefined` if no caption is another one now. */
  readonly revision: number | undefined;
}

/** A caption whose bytes are stored, and whose row is not. */
interface StoredCaption {
  readonly file: StoredFile;
  readonly condition: WriteCondition | undefined;
}

interface SaveOptions {
  readonly author: Author;
  readonly signal: AbortSignal;
}

/**
 * Saves many captions in one request. Unlike an upload, a caption is not reserved first, so that the dataset never shows
 * UPLOADING: until its row exists, its bytes are listed in the trash, so that a crash leaves no untracked ones. A request that fails
 * leaves none.
 */
export class CaptionWrites {
  readonly #dependencies: ServiceDependencies;
  readonly #writes = new FairQueue(WRITES_AT_ONCE);

  constructor(dependencies: ServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Saves captions, each if its condition is met.
   *
   * @returns what became of each, in the order given
   * @throws ServiceError `dataset_not_found`; `invalid_name` and `invalid_field`, before any caption is saved; `invalid_name` of a
   * stem with too many names, `quota_exceeded`, `no_space`, `unavailable` and the signal's reason: captions before the failure may be saved
   */
  async save(key: DatasetKey, captions: readonly CaptionWrite[], options: SaveOptions): Promise<SavedCaptions> {
    const parsed = parseCaptions(captions);
    if ((await this.#dependencies.catalog.record(key)) === undefined) throw datasetNotFound(key.id);
    const saved = new Map<string, CaptionResult>();
    let revision: number | undefined;
    for (let start = 0; start < parsed.length; start += CAPTIONS_PER_TRANSACTION) {
      options.signal.throwIfAborted();
      const slice = parsed.slice(start, start + CAPTIONS_PER_TRANSACTION);
      const written = await this.#saveSlice(key, slice, options);
      for (const each of written.captions) saved.set(each.filename, each);
      revision = written.revision ?? revision;
    }
    return { captions: parsed.map(({ filename }) => saved.get(filename)!), revision };
  }

  async #saveSlice(
    key: DatasetKey,
    slice: readonly CaptionWrite[],
    { author, signal }: SaveOptions,
  ): Promise<SavedCaptions> {
    const { catalog, now, newId } = this.#dependencies;
    const tried = await this.#try(key, slice, author);
    const captions = slice.filter(({ filename }) => !tried.has(filename));
    const results = [...tried.values()];
    if (captions.length === 0) return { captions: results, revision: undefined };
    const ids = captions.map(() => newId());
    const trashedUntil = now() + TRASH_LIFETIME;
    await catalog.addToTrash(
      ids.map((id) => blobKeyOf({ id, datasetId: key.id })),
      trashedUntil,
    );
    /** Without those that the store failed to store: it may still do so, and they stay in the trash. */
    const stored: StoredCaption[] = [];
    let recorded: SavedCaptions = { captions: [], revision: undefined };
    try {
      await forEachConcurrent(captions.entries(), MAX_CONCURRENT_WRITES, async ([i, caption]) => {
        // A stream that is being read has a listener on its signal: one signal for all of them would have too many.
        const file = await withAnySignal([signal], (own) => {
          const write = () => this.#write(key, { ...caption, id: ids[i]! }, own);
          return this.#writes.run(key.accountId, write, { signal: own });
        });
        if ('upload' in file) stored.push({ file, condition: caption.condition });
        else results.push({ filename: caption.filename, outcome: 'rejected', problem: file });
      });
      if (now() > trashedUntil - TRASH_MARGIN) {
        throw new ServiceError('unavailable', 'Saving took too long and was ended. Save the captions again.');
      }
      recorded = await this.#record(key, stored, author);
    } finally {
      const saved = new Set(recorded.captions.flatMap((each) => (each.outcome === 'saved' ? [each.file.id] : [])));
      const unsaved = stored.map(({ file }) => file).filter(({ id }) => !saved.has(id));
      // Otherwise the cleanup deletes them when their time in the trash is over.
      await this.#deleteUnsaved(unsaved, trashedUntil).catch(() => {});
    }
    return { captions: [...results, ...recorded.captions], revision: recorded.revision };
  }

  /**
   * Finds the captions that are in conflict now, so that their bytes are not stored in vain. `#record` decides.
   *
   * @throws ServiceError `invalid_name` and `quota_exceeded`, as `#record` would
   */
  async #try(key: DatasetKey, slice: readonly CaptionWrite[], author: Author): Promise<Map<string, CaptionResult>> {
    const at = this.#dependencies.now();
    const captions = slice.map(({ filename, text, condition }) => {
      // Only its name and its size count.
      const upload: StoredFile['upload'] = {
        state: 'stored',
        sizeBytes: Buffer.byteLength(text),
        sha256: '',
        contentType: '',
        facts: { kind: 'caption', characters: 0 },
        warnings: [],
        blobVersion: null,
        finalizedAt: at,
      };
      const file: StoredFile = { id: filename, datasetId: key.id, filename, kind: 'caption', createdAt: at, upload };
      return { file, condition };
    });
    const { results } = await this.#change(key, captions, { author, isTrial: true });
    return new Map([...results].filter(([, { outcome }]) => outcome === 'conflict'));
  }

  /** Deletes the bytes of captions that have no row. */
  async #deleteUnsaved(files: readonly StoredFile[], trashedUntil: Micros): Promise<void> {
    const [first] = files;
    if (first === undefined) return;
    const { catalog, blobs, now } = this.#dependencies;
    const { datasetId, filename } = first;
    const time = now();
    // An error can hide a commit that succeeded or is still to come. A change of the same dataset waits until it has ended, and the
    // bytes that are then in the trash as before have no row.
    await catalog.change({ datasetId, filenames: [filename], now: time, isActivity: false }, () => undefined);
    const keys = await catalog.rescheduleTrash(files.map(blobKeyOf), { from: trashedUntil, to: time });
    await blobs.delete(keys);
    await catalog.removeFromTrash(keys, time);
  }

  /** Stores the bytes of a caption. @returns the file without a row, or what is wrong with the text */
  async #write(
    { accountId, id: datasetId }: DatasetKey,
    { id, filename, text }: CaptionWrite & { id: string },
    signal: AbortSignal,
  ): Promise<StoredFile | ErrorProblem> {
    const bytes = Buffer.from(text);
    const limit = { bytes: bytes.length, message: `${filename} has more than ${bytes.length} bytes.` };
    const blobKey = blobKeyOf({ id, datasetId });
    const staged = await this.#dependencies.blobs.stage(Readable.from([bytes], { objectMode: false }), {
      key: blobKey,
      limit,
      accountId,
      signal,
    });
    const { sizeBytes, sha256, content } = staged;
    const file = { filename, sizeBytes, content };
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
    const upload = {
      state: 'stored',
      sizeBytes,
      sha256,
      contentType,
      facts,
      warnings,
      blobVersion,
      finalizedAt: at,
    } as const;
    return { id, datasetId, filename, kind: 'caption', createdAt: at, upload };
  }

  /** Adds the rows of captions whose conditions are met, in one transaction. */
  async #record(key: DatasetKey, captions: readonly StoredCaption[], author: Author): Promise<SavedCaptions> {
    if (captions.length === 0) return { captions: [], revision: undefined };
    const { changed, results } = await this.#change(key, captions, { author });
    if (changed === undefined) throw datasetNotFound(key.id);
    return { captions: [...results.values()], revision: changed.recordedIn };
  }

  async #change(
    key: DatasetKey,
    captions: readonly StoredCaption[],
    options: { author: Author; isTrial?: boolean },
  ): Promise<{ changed: ChangedDataset | undefined; results: ReadonlyMap<string, CaptionResult> }> {
    const { catalog, now } = this.#dependencies;
    const conditions = new Map(captions.map(({ file, condition }) => [file.id, condition]));
    const byStem = stemGroupsOf(captions.map(({ file }) => file)) as ReadonlyMap<string, readonly StoredFile[]>;
    const results = new Map<string, CaptionResult>();
    const change = {
      datasetId: key.id,
      filenames: captions.map(({ file }) => file.filename),
      now: now(),
      isActivity: true,
      ...options,
    };
    const changed = await catalog.change(change, (group, stem) =>
      (byStem.get(stem) ?? []).reduce<StemGroup>((files, file) => {
        const { filename } = file;
        try {
          const next = store(files, file, conditions.get(file.id));
          results.set(filename, { filename, outcome: 'saved', file });
          return next;
        } catch (error) {
          if (!(error instanceof PreconditionFailed)) throw error;
          results.set(filename, { filename, outcome: 'conflict', current: error.current });
          return files;
        }
      }, group),
    );
    return { changed, results };
  }
}

function parseCaptions(captions: readonly CaptionWrite[]): CaptionWrite[] {
  const names = new Set<string>();
  return captions.map(({ filename: raw, text, condition }, i) => {
    const filename = parseFilename(raw);
    const fault = (path: string, message: string) =>
      new ServiceError('invalid_field', `${filename} can't be saved: ${message}.`, {
        detail: [{ path: `captions.${i}.${path}`, message }],
      });
    if (mediaTypeOf(filename)?.kind !== 'caption')
      throw fault('filename', 'it is not a caption; its name must end in .txt');
    if (names.has(filename)) throw fault('filename', 'the request has it twice');
    names.add(filename);
    if (/\p{Surrogate}/u.test(text)) throw fault('text', 'its text is not valid Unicode');
    if (Buffer.byteLength(text) > MAX_CAPTION_TEXT_BYTES) {
      throw fault('text', `its text has more than ${MAX_CAPTION_TEXT_BYTES} bytes; upload it as a file`);
    }
    return { filename, text, condition };
  });
}
