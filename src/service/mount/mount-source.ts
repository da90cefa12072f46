import type { DatasetFile, Micros, StatusRules, StoredFile } from '../../dataset/dataset.js';
import { statusOf } from '../../dataset/dataset.js';
import { digestOf } from '../../dataset/digest.js';
import { ServiceError } from '../../dataset/errors.js';
import { mountedNameOf } from '../../dataset/media.js';
import { parseDatasetName, parseFilename } from '../../dataset/names.js';
import { BlobChanged, type BlobStore, blobKeyOf } from '../../storage/blobs/blobs.js';
import type { Catalog } from '../../storage/catalog/catalog.js';

/** A file to be mounted. */
export interface MountFile {
  readonly filename: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** The file of this machine that holds the bytes; absent where they come over the network. */
  readonly path?: string;
}

/** A dataset as its source shows it at a moment. */
export interface MountManifest {
  readonly datasetId: string;
  readonly name: string;
  readonly status: string;
  /** Only where the dataset is READY. */
  readonly digest: string | undefined;
  readonly files: readonly MountFile[];
}

/** Bytes under way; `from` is where in the file they begin, which may be earlier than where they were asked to. */
export interface IncomingRange {
  readonly from: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Where a dataset comes from: a data folder of this machine, or a service. */
export interface MountSource {
  /** Written into the mounted folder, so that it can be told where it came from: the service's URL, the folder's path. */
  readonly name: string;
  readonly manifest: (signal: AbortSignal) => Promise<MountManifest>;
  /** For files without `path`. @throws SourceChanged where the source has no such bytes under that name any more */
  readonly read?: (file: MountFile, from: number, signal: AbortSignal) => Promise<IncomingRange>;
  /**
   * A tar archive of the files, in that order; `undefined` where the source makes none. Whatever it gets wrong is found out
   * by `read`.
   */
  readonly readTogether?: (
    files: readonly MountFile[],
    signal: AbortSignal,
  ) => Promise<AsyncIterable<Uint8Array> | undefined>;
}

/** The dataset is not any more what its manifest said. */
export class SourceChanged extends Error {}

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

/** A dataset that may be mounted: READY, with names that stay inside a folder, and a digest that is right. */
export interface MountableDataset extends MountManifest {
  readonly digest: string;
}

/**
 * Takes a manifest at its word only where it keeps it: a service could be wrong, or somebody else's.
 *
 * @throws MountError `not_ready`, `failed`, `digest_differs`, `damaged`
 */
export function mountable(manifest: MountManifest, wantedDigest: string | undefined): MountableDataset {
  const { name, status, digest } = manifest;
  if (digest === undefined || status !== 'READY') {
    const [code, advice] =
      status === 'UPLOADING'
        ? (['not_ready', 'Try again once it is.'] as const)
        : (['failed', adviceFor(name)] as const);
    throw new MountError(code, `"${name}" is ${status}, and only a READY dataset can be mounted. ${advice}`);
  }
  if (wantedDigest !== undefined && wantedDigest.toLowerCase() !== digest) {
    throw new MountError(
      'digest_differs',
      `"${name}" is ${digest} now, and ${wantedDigest.toLowerCase()} was asked for.`,
    );
  }
  const fault = faultIn(manifest);
  if (fault !== undefined) throw new MountError('damaged', `The manifest of "${name}" can't be right: ${fault}`);
  return { ...manifest, digest };
}

function adviceFor(name: string): string {
  return `What it lacks says: trainyard status ${JSON.stringify(name)}`;
}

function faultIn({ name, digest, files }: MountManifest): string | undefined {
  try {
    if (parseDatasetName(name) !== name) return `the name ${JSON.stringify(name)} is not as it is stored.`;
    for (const { filename } of files) {
      if (parseFilename(filename) !== filename) return `the name ${JSON.stringify(filename)} is not as it is stored.`;
    }
  } catch (error) {
    if (error instanceof ServiceError) return error.message;
    throw error;
  }
  const names = new Set(files.map(({ filename }) => mountedNameOf(filename)));
  if (names.size < files.length) return 'several files would get the same name.';
  const counted = digestOf(files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  return counted === digest ? undefined : `its files give the digest ${counted}, and it says ${digest}.`;
}

/** The bytes of files: as files of this machine, or to be read from their store. */
export type BlobReader = { readonly pathOf: (key: string) => string } | Pick<BlobStore, 'pathOf' | 'read'>;

/** A dataset of a catalog that this process can read, also while a server has it. */
export function localSource(
  parts: {
    readonly catalog: Catalog;
    readonly dataFolder: string;
    readonly blobs: BlobReader;
    readonly rules: StatusRules;
    readonly now: () => Micros;
  },
  key: { accountId: string; id: string },
): MountSource {
  const { catalog, blobs, rules, now } = parts;
  let byName = new Map<string, StoredFile>();
  const readerOf =
    (store: Pick<BlobStore, 'read'>): NonNullable<MountSource['read']> =>
    async ({ filename, sizeBytes }, from, signal) => {
      const file = byName.get(filename);
      if (file === undefined) throw new SourceChanged(`${filename} is not there any more`);
      const range = { start: from, end: sizeBytes };
      const { blobVersion: version } = file.upload;
      const body = await store.read(blobKeyOf(file), { range, version, signal }).catch((error) => {
        if (!(error instanceof BlobChanged)) throw error;
        throw new MountError('damaged', `${filename} was replaced in the store since it was checked. Upload it again.`);
      });
      if (body === undefined) throw new SourceChanged(`${filename} has left the store`);
      return { from, body };
    };
  return {
    name: parts.dataFolder,
    // Files of this machine are copied where they lie.
    ...('read' in blobs && blobs.pathOf === undefined && { read: readerOf(blobs) }),
    manifest: async () => {
      const found = await catalog.contents(key);
      if (found === undefined) throw new MountError('failed', `Dataset ${key.id} has been deleted.`);
      const { dataset, files } = found;
      const status = statusOf(dataset.counts, now(), rules);
      const stored = files.filter(isStored);
      byName = new Map(stored.map((file) => [file.filename, file]));
      return {
        datasetId: dataset.id,
        name: dataset.name,
        status,
        digest: status === 'READY' ? digestOf(stored) : undefined,
        files: stored.map((file) => ({
          filename: file.filename,
          sizeBytes: file.upload.sizeBytes,
          sha256: file.upload.sha256,
          ...(blobs.pathOf !== undefined && { path: blobs.pathOf(blobKeyOf(file)) }),
        })),
      };
    },
  };
}

function isStored(file: DatasetFile): file is StoredFile {
  return file.upload.state === 'stored';
}
