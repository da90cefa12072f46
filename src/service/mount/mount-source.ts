import { type Micros, type StatusRules, type StoredFile, statusOf } from '../../dataset/dataset.js';
import { digestOf } from '../../dataset/digest.js';
import { ServiceError } from '../../dataset/errors.js';
import { mountedNameOf } from '../../dataset/media.js';
import { parseDatasetName, parseFilename } from '../../dataset/names.js';
import { BlobChanged, type BlobStore, blobKeyOf } from '../../storage/blobs/blobs.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import { type DatasetKey, storedFilesIn } from '../datasets.js';

/** A file to be mounted. */
export interface MountFile {
  readonly filename: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** The state of a dataset at one moment. */
export interface MountManifest {
  readonly datasetId: string;
  readonly name: string;
  readonly status: string;
  /** `undefined` unless the dataset is READY. */
  readonly digest: string | undefined;
  readonly files: readonly MountFile[];
}

/** Bytes of a file from `from` on, which may be an earlier byte than the one that was requested. */
export interface RangeResponse {
  readonly from: number;
  readonly body: AsyncIterable<Uint8Array>;
}

interface ManifestSource {
  /** Written into the mounted folder: the service's URL, or the data folder's path. */
  readonly name: string;
  readonly manifest: (signal: AbortSignal) => Promise<MountManifest>;
}

/** A dataset whose bytes are files of this machine. */
export interface DataFolderSource extends ManifestSource {
  readonly kind: 'data-folder';
  /** The file that holds the bytes of a file of the last manifest. */
  readonly pathOf: (file: MountFile) => string;
}

/** A dataset whose bytes come over HTTP: from a service, or from the bucket of this service. */
export interface HttpSource extends ManifestSource {
  readonly kind: 'http';
  /** @throws DatasetChanged if the source no longer has these bytes under that name */
  readonly read: (file: MountFile, from: number, signal: AbortSignal) => Promise<RangeResponse>;
  /**
   * A tar archive of the files, in that order; `undefined` if the source makes none. The receiver checks each file and reads
   * missing or damaged ones with `read`.
   */
  readonly readTogether?: (
    files: readonly MountFile[],
    signal: AbortSignal,
  ) => Promise<AsyncIterable<Uint8Array> | undefined>;
}

export type MountSource = DataFolderSource | HttpSource;

/** The dataset has changed since its manifest was read. */
export class DatasetChanged extends Error {}

/** Why a dataset was not mounted; the message is for a person. */
export type MountErrorCode =
  | 'not_ready'
  | 'failed'
  | 'digest_differs'
  | 'occupied'
  | 'changed'
  | 'unstable'
  | 'damaged'
  | 'no_space'
  | 'cannot_link'
  | 'cannot_write';

export class MountError extends Error {
  readonly code: MountErrorCode;

  constructor(code: MountErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MountError';
    this.code = code;
  }
}

/** A READY dataset whose filenames are valid and whose digest matches its files. */
export interface MountableDataset extends MountManifest {
  readonly digest: string;
}

/**
 * Checks a manifest, which may come from a service that is wrong or not trusted.
 *
 * @throws MountError `not_ready`, `failed`, `digest_differs`, `damaged`
 */
export function checkManifest(manifest: MountManifest, requiredDigest: string | undefined): MountableDataset {
  const { name, status, digest } = manifest;
  if (digest === undefined || status !== 'READY') {
    const [code, advice] =
      status === 'UPLOADING'
        ? (['not_ready', 'Try again when the upload is complete.'] as const)
        : (['failed', `To see why, run: trainyard status ${JSON.stringify(name)}`] as const);
    throw new MountError(code, `"${name}" is ${status}, and only a READY dataset can be mounted. ${advice}`);
  }
  const required = requiredDigest?.toLowerCase() ?? digest;
  if (required !== digest) {
    throw new MountError('digest_differs', `The digest of "${name}" is now ${digest}, not ${required}.`);
  }
  const fault = faultIn(manifest);
  if (fault !== undefined) throw new MountError('damaged', `The manifest of "${name}" is invalid: ${fault}`);
  return { ...manifest, digest };
}

function faultIn({ name, digest, files }: MountManifest): string | undefined {
  try {
    if (parseDatasetName(name) !== name) return `the name ${JSON.stringify(name)} is not normalized.`;
    for (const { filename } of files) {
      if (parseFilename(filename) !== filename) return `the name ${JSON.stringify(filename)} is not normalized.`;
    }
  } catch (error) {
    if (error instanceof ServiceError) return error.message;
    throw error;
  }
  const names = new Set(files.map(({ filename }) => mountedNameOf(filename)));
  if (names.size < files.length) return 'several files have the same name once their extensions are lower-cased.';
  const computed = digestOf(files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  return computed === digest ? undefined : `its files have the digest ${computed}, not ${digest}.`;
}

/** A dataset of a catalog that this process can read, also while a server uses it. */
export function catalogSource(
  installation: {
    readonly catalog: Catalog;
    readonly dataFolder: string;
    readonly blobs: Pick<BlobStore, 'pathOf' | 'read'>;
    readonly rules: StatusRules;
    readonly now: () => Micros;
  },
  dataset: DatasetKey,
): MountSource {
  const { catalog, dataFolder, blobs, rules, now } = installation;
  let byName = new Map<string, StoredFile>();
  const storedFile = ({ filename }: MountFile): StoredFile => {
    const file = byName.get(filename);
    if (file === undefined) throw new DatasetChanged(`${filename} has been removed`);
    return file;
  };
  const manifest = async (): Promise<MountManifest> => {
    const found = await catalog.contents(dataset);
    if (found === undefined) throw new MountError('failed', `Dataset ${dataset.id} has been deleted.`);
    const { id, name, counts } = found.dataset;
    const status = statusOf(counts, now(), rules);
    const stored = storedFilesIn(found.files);
    byName = new Map(stored.map((file) => [file.filename, file]));
    return {
      datasetId: id,
      name,
      status,
      digest: status === 'READY' ? digestOf(stored) : undefined,
      files: stored.map(({ filename, upload: { sizeBytes, sha256 } }) => ({ filename, sizeBytes, sha256 })),
    };
  };
  const pathOf = blobs.pathOf?.bind(blobs);
  if (pathOf !== undefined) {
    return { kind: 'data-folder', name: dataFolder, manifest, pathOf: (file) => pathOf(blobKeyOf(storedFile(file))) };
  }
  const read = async (file: MountFile, from: number, signal: AbortSignal): Promise<RangeResponse> => {
    const stored = storedFile(file);
    const range = { start: from, end: file.sizeBytes };
    const version = stored.upload.blobVersion;
    const body = await blobs.read(blobKeyOf(stored), { range, version, signal }).catch((error) => {
      if (!(error instanceof BlobChanged)) throw error;
      const message = `The stored bytes of ${file.filename} were replaced after they were checked. Upload it again.`;
      throw new MountError('damaged', message);
    });
    if (body === undefined) throw new DatasetChanged(`${file.filename} has been removed from the store`);
    return { from, body };
  };
  return { kind: 'http', name: dataFolder, manifest, read };
}
