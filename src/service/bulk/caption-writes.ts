import { Readable } from 'node:stream';
import { withAnySignal } from '../../abort-signals.js';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import {
  type Author,
  type CaptionOrigin,
  MICROS_PER_SECOND,
  type Micros,
  type StoredFile,
  type WriteCondition,
} from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { parseFilename } from '../../dataset/names.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import { store } from '../../dataset/upload-transitions.js';
import { requireCondition, storedFileIn } from '../../dataset/write-condition.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { blobKeyOf } from '../../storage/blobs/blobs.js';
import { FairQueue } from '../../storage/fair-queue.js';
import { inspectFile } from '../check/inspect-file.js';
import { type DatasetKey, findRecord } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { changeEach, type WriteConflict } from './file-removals.js';

/** For one request. Each waits for the disk or the bucket most of the time. */
const MAX_CONCURRENT_WRITES = 16;

/** For all requests: other operations wait behind writes that have begun. */
const WRITES_AT_ONCE = 64;

/** How long new bytes may stay in the trash, and what must be left when their row is written: more than a transaction takes. */
const TRASH_LIFETIME: Micros = 1200 * MICROS_PER_SECOND;
const TRASH_MARGIN: Micros = 300 * MICROS_PER_SECOND;

export interface CaptionWrite {
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

export interface SavedCaptions {
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
