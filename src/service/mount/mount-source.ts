import type { LinkSlot, Role } from '../../dataset/dataset.js';
import { digestOf, digestWithLinks } from '../../dataset/digest.js';
import { mountedNameOf } from '../../dataset/media.js';
import { slotText } from '../../dataset/pairs/roles.js';

/** A file that a manifest names. */
export interface MountFile {
  readonly filename: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** A control or mask dataset of a training dataset, in the state that it had when the manifest was read. */
export interface MountLink {
  readonly slot: LinkSlot;
  readonly datasetId: string;
  readonly name: string;
  /** `undefined` if it is not known. */
  readonly revision: number | undefined;
  /** `undefined` unless it was READY. */
  readonly digest: string | undefined;
}

/** The state of a dataset at one moment. */
export interface MountManifest {
  readonly datasetId: string;
  readonly name: string;
  readonly role: Role;
  /** The number of the revision that has these files; `undefined` if there is none, or the service has no history. */
  readonly revision: number | undefined;
  readonly status: string;
  /** Of its files and the digests of its links; `undefined` unless the dataset is READY. */
  readonly digest: string | undefined;
  readonly files: readonly MountFile[];
  /** In the order of `LINK_SLOTS`. */
  readonly links: readonly MountLink[];
}

/** A file, and its name in the folder that it is brought into. */
export interface PlacedFile extends MountFile {
  readonly mountedName: string;
}

/** A dataset that is read in one state. */
interface ManifestSource {
  /** Written into the mounted folder: the service's URL, or the data folder's path. */
  readonly name: string;
  readonly manifest: (signal: AbortSignal) => Promise<MountManifest>;
  /** The source of a linked dataset in exactly the state that a manifest names. Its manifest may be of another name or digest. */
  readonly linked: (link: MountLink) => MountSource;
}

/** A dataset whose bytes are files of this machine. */
export interface LocalSource extends ManifestSource {
  readonly kind: 'local';
  /** The file that holds the bytes of a file of the last manifest. */
  readonly pathOf: (file: MountFile) => string;
  /** The error for a file without bytes. */
  readonly missing: (file: MountFile) => Promise<Error>;
}

/** Bytes of a file from `from` on, which may be an earlier byte than the one that was requested. */
export interface RangeResponse {
  readonly from: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A dataset whose bytes come over HTTP: from a service, or from the bucket of this service. */
export interface RemoteSource extends ManifestSource {
  readonly kind: 'remote';
  /** @throws DatasetChanged if the source no longer has these bytes under that name */
  readonly read: (file: MountFile, from: number, signal: AbortSignal) => Promise<RangeResponse>;
  /** Yields the files in order with their bytes, which are not checked. Ends early where the answer does; empty if the source can't. */
  readonly readTogether: (
    files: readonly PlacedFile[],
    signal: AbortSignal,
  ) => AsyncIterable<{ file: PlacedFile; bytes: Buffer }>;
}

export type MountSource = LocalSource | RemoteSource;

/** The state of a dataset to mount: an earlier revision, or the newest kept one with a digest; by default the latest. */
export interface WantedState {
  readonly revision?: number | undefined;
  /** Lower-case hexadecimal. */
  readonly digest?: string | undefined;
}

/** The state of a linked dataset that a manifest names. Its number finds it faster than its digest. */
export function stateOfLink({ revision, digest }: MountLink): WantedState {
  return revision === undefined ? { digest } : { revision };
}

/** The dataset has changed since its manifest was read. */
export class DatasetChanged extends Error {}

/** Why a dataset was not mounted; the message is for a person. */
export type MountErrorCode =
  | 'not_ready'
  | 'failed'
  | 'digest_differs'
  | 'kind_missing'
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

/** The error of a mount of a revision without kept states of its controls and its mask. */
export function statesUnknown(name: string, revision: number): MountError {
  const message = `No READY states of the controls and the mask of "${name}" are kept from the time when revision ${revision} was its latest. Mount another revision, or the latest state.`;
  return new MountError('failed', message);
}

/** The error of a mount for one that says that no kept revision has the digest; `undefined` for others. */
export function digestNotKept(error: unknown): MountError | undefined {
  const isOther = !(error instanceof Error && 'code' in error && error.code === 'revision_not_found');
  return isOther ? undefined : new MountError('digest_differs', error.message, { cause: error });
}

/** A READY dataset whose filenames are valid and whose digest matches its files and links. */
export interface MountableDataset extends MountManifest {
  readonly digest: string;
  readonly links: readonly (MountLink & { readonly digest: string })[];
}

/** A dataset and its controls and mask, all in the states that they had at one moment. */
export interface MountSet {
  readonly dataset: MountableDataset;
  readonly source: MountSource;
  readonly linked: readonly {
    readonly slot: LinkSlot;
    readonly dataset: MountableDataset;
    readonly source: MountSource;
  }[];
}

/** Errors of a linked dataset that has changed since the manifest of the target was read. */
const CHANGED = ['dataset_not_found', 'revision_not_found', 'digest_differs', 'not_ready', 'failed'];

/**
 * Reads the manifest of a dataset, and those of its linked datasets in exactly the states that it names.
 *
 * @throws DatasetChanged if one of those states is no longer there; MountError; the errors of the source; the signal's reason
 */
export async function readMountSet(
  source: MountSource,
  { wanted, signal }: { wanted: WantedState; signal: AbortSignal },
): Promise<MountSet> {
  const dataset = checkManifest(await source.manifest(signal), wanted);
  const linked = [];
  for (const link of dataset.links) {
    const what = `its ${slotText(link.slot)} ${JSON.stringify(link.name)}`;
    const linkedSource = source.linked(link);
    const found = await linkedSource
      .manifest(signal)
      .then((manifest) => checkManifest(manifest, { digest: link.digest }))
      .catch((error) => {
        const hasChanged = error instanceof Error && 'code' in error && CHANGED.includes(String(error.code));
        throw hasChanged ? new DatasetChanged(`${what}: ${error.message}`, { cause: error }) : error;
      });
    if (found.datasetId !== link.datasetId || found.name !== link.name) {
      throw new DatasetChanged(`${what} is now called ${JSON.stringify(found.name)}`);
    }
    if (found.links.length > 0) throw invalid(dataset.name, `${what} has links itself.`);
    linked.push({ slot: link.slot, dataset: found, source: linkedSource });
  }
  return { dataset, source, linked };
}

function invalid(name: string, fault: string): MountError {
  return new MountError('damaged', `The manifest of "${name}" is invalid: ${fault}`);
}

/** Checks a manifest, which may come from a service that is wrong or not trusted. Its source has checked the names. */
function checkManifest(manifest: MountManifest, wanted: WantedState): MountableDataset {
  const { name, status, digest, files, links } = manifest;
  if (digest === undefined || status !== 'READY') throw notReady(manifest, wanted);
  const required = wanted.digest ?? digest;
  if (required !== digest) {
    throw new MountError('digest_differs', `The digest of "${name}" is now ${digest}, not ${required}.`);
  }
  if (new Set(files.map(({ filename }) => mountedNameOf(filename))).size < files.length) {
    throw invalid(name, 'several files have the same name once their extensions are lower-cased.');
  }
  // Each linked dataset becomes a folder beside that of the dataset.
  if (new Set([name, ...links.map((link) => link.name)]).size <= links.length) {
    throw invalid(name, 'two of its datasets have one name.');
  }
  const known = links.filter((link): link is MountableDataset['links'][number] => link.digest !== undefined);
  const computed = digestWithLinks(digestOfFiles(files), known);
  if (computed !== digest || known.length < links.length) {
    const whose = links.length === 0 ? 'its files have' : 'its files and linked datasets have';
    throw invalid(name, `${whose} the digest ${computed}, not ${digest}.`);
  }
  return { ...manifest, digest, links: known };
}

function notReady({ name, status, revision }: MountManifest, wanted: WantedState): MountError {
  const shown = JSON.stringify(name);
  if (wanted.revision !== undefined) {
    const message = `Revision ${revision} of "${name}" is not fit to train on, and can't be mounted. To see which are, run: trainyard log ${shown}`;
    return new MountError('failed', message);
  }
  const advice =
    status === 'UPLOADING' ? 'Try again when the upload is complete.' : `To see why, run: trainyard status ${shown}`;
  const message = `"${name}" is ${status}, and only a READY dataset can be mounted. ${advice}`;
  return new MountError(status === 'UPLOADING' ? 'not_ready' : 'failed', message);
}

/** The digest of files alone, without linked datasets. */
export function digestOfFiles(files: readonly Pick<MountFile, 'filename' | 'sha256'>[]): string {
  return digestOf(files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
}
