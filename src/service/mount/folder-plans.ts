import type { LinkSlot } from '../../dataset/dataset.js';
import { digestOf, digestWithLinks } from '../../dataset/digest.js';
import { kohyaFolderOf } from '../../dataset/groups.js';
import type { Manifest, ManifestFile, ManifestLink, WantedState } from '../manifest.js';
import { mediaTypeOf, mountedNameOf, stemOf } from '../../dataset/media.js';
import { slotText } from '../../dataset/pairs/roles.js';
import { chosenFiles, type MediaChoice, oneTrainerMaskOf } from '../../dataset/train/training-dataset.js';
import { DatasetChanged, MountError, type MountSource, type PlacedFile } from './mount-source.js';
import type { MountLayout, MountRecord } from './mounted-folder.js';

export interface FolderChoices {
  /** Mounts one kind of media with its captions. Linked datasets are mounted whole. */
  readonly only?: MediaChoice | undefined;
  readonly layout?: MountLayout | undefined;
}

/** A READY dataset with valid filenames, whose digest matches its files and links. */
export interface MountableDataset extends Manifest {
  readonly digest: string;
  readonly links: readonly (ManifestLink & { readonly digest: string })[];
}

interface PlannedFile extends PlacedFile {
  readonly source: MountSource;
  /** The linked dataset of the file. */
  readonly of?: LinkSlot;
}

export interface FolderPlan extends FolderChoices {
  readonly dataset: MountableDataset;
  readonly source: MountSource;
  /** With the layout `onetrainer` also the files of the mask. */
  readonly files: readonly PlannedFile[];
}

/** Errors of a linked dataset that has changed since the target was read. */
const CHANGED = ['dataset_not_found', 'revision_not_found', 'digest_differs', 'not_ready', 'failed'];

/**
 * Reads the manifest of a dataset, and of its linked datasets in exactly the states that it names.
 *
 * @returns the folders, the dataset's own first: one for each dataset, or with the layout `onetrainer` one for all
 * @throws DatasetChanged if a state is no longer there; MountError; the errors of the source; the signal's reason
 */
export async function readFolderPlans(
  source: MountSource,
  { wanted, only, layout, signal }: FolderChoices & { wanted: WantedState; signal: AbortSignal },
): Promise<FolderPlan[]> {
  const dataset = await readWanted(source, wanted, signal);
  const files = plannedFiles(dataset, source, only);
  if (files.length === 0) {
    throw new MountError('kind_missing', `"${dataset.name}" has no ${only}. Mount it without --only.`);
  }
  const linked: FolderPlan[] = [];
  for (const link of dataset.links) {
    const linkedSource = source.linked(link);
    const found = await readLinked(link, linkedSource, signal);
    linked.push({ dataset: found, source: linkedSource, files: plannedFiles(found, linkedSource) });
  }
  if (layout === undefined) return [{ dataset, source, only, files }, ...linked];
  if (layout === 'kohya') return [{ dataset, source, only, files }, ...linked].map(inGroupFolders);
  const mask = linked.find((_, i) => dataset.links[i]?.slot === 'mask');
  return [{ dataset, source, only, layout, files: [...files, ...maskFiles(mask, dataset.name, files)] }];
}

async function readWanted(source: MountSource, wanted: WantedState, signal: AbortSignal): Promise<MountableDataset> {
  const { revision } = wanted;
  const latest = revision === undefined ? undefined : await source.manifest({}, signal);
  const manifest = await source.manifest(wanted, signal).catch((error) => {
    if (wanted.digest === undefined || codeOf(error) !== 'revision_not_found') throw error;
    throw new MountError('digest_differs', error.message, { cause: error });
  });
  if (revision !== undefined && revision !== manifest.revision) {
    throw new MountError('failed', `${source.name} keeps no earlier revisions of datasets.`);
  }
  if (manifest.digest !== undefined && manifest.links === undefined && latest?.links?.length) {
    const message = `No READY states of the controls and the mask of "${manifest.name}" are kept from the time when revision ${revision} was its latest. Mount another revision, or the latest state.`;
    throw new MountError('failed', message);
  }
  return checkManifest(manifest, wanted);
}

async function readLinked(link: ManifestLink, source: MountSource, signal: AbortSignal): Promise<MountableDataset> {
  const { slot, id, name, revision, digest } = link;
  const what = `its ${slotText(slot)} ${JSON.stringify(name)}`;
  // A number is found faster than a digest.
  const wanted = revision === 0 ? { digest } : { revision };
  const found = await source
    .manifest(wanted, signal)
    .then((manifest) => checkManifest(manifest, { digest }))
    .catch((error) => {
      const hasChanged = CHANGED.includes(codeOf(error));
      throw hasChanged ? new DatasetChanged(`${what}: ${error.message}`, { cause: error }) : error;
    });
  if (found.id !== id || found.name !== name) {
    throw new DatasetChanged(`${what} is now called ${JSON.stringify(found.name)}`);
  }
  if (found.links.length > 0) throw invalid(name, 'it is a control or mask, and has links itself.');
  return found;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function invalid(name: string, fault: string): MountError {
  return new MountError('damaged', `The manifest of "${name}" is invalid: ${fault}`);
}

/** A manifest may come from a service that is wrong or not trusted. Its source has checked the names. */
function checkManifest(manifest: Manifest, wanted: WantedState): MountableDataset {
  const { name, status, digest, files, links = [] } = manifest;
  if (digest === undefined || status !== 'READY') throw notReady(manifest, wanted);
  if ((wanted.digest ?? digest) !== digest) {
    throw new MountError('digest_differs', `The digest of "${name}" is now ${digest}, not ${wanted.digest}.`);
  }
  if (new Set(files.map(({ filename }) => mountedNameOf(filename))).size < files.length) {
    throw invalid(name, 'several files have the same name once their extensions are lower-cased.');
  }
  // Each linked dataset becomes a folder beside the dataset's.
  if (new Set([name, ...links.map((link) => link.name)]).size <= links.length) {
    throw invalid(name, 'two of its datasets have one name.');
  }
  const known = links.filter((link): link is MountableDataset['links'][number] => link.digest !== undefined);
  const computed = digestWithLinks(digestOf(files), known);
  if (computed !== digest || known.length < links.length) {
    const whose = links.length === 0 ? 'its files have' : 'its files and linked datasets have';
    throw invalid(name, `${whose} the digest ${computed}, not ${digest}.`);
  }
  return { ...manifest, digest, links: known };
}

function notReady({ name, status, revision }: Manifest, wanted: WantedState): MountError {
  const shown = JSON.stringify(name);
  if (wanted.revision !== undefined) {
    const message = `Revision ${revision} of "${name}" is not fit to train on, and can't be mounted. To see which are, run: trainyard log ${shown}`;
    return new MountError('failed', message);
  }
  const isComing = status === 'UPLOADING';
  const advice = isComing ? 'Try again when the upload is complete.' : `To see why, run: trainyard status ${shown}`;
  const message = `"${name}" is ${status}, and only a READY dataset can be mounted. ${advice}`;
  return new MountError(isComing ? 'not_ready' : 'failed', message);
}

/** Captions of a control or mask are left out: diffusion-pipe would take one for the image (`utils/dataset.py:632-634`). */
function plannedFiles({ role, files }: MountableDataset, source: MountSource, only?: MediaChoice): PlannedFile[] {
  return chosenFiles(files, only)
    .filter((file) => role === 'training' || !isCaption(file))
    .map((file) => ({ ...file, source, mountedName: mountedNameOf(file.filename) }));
}

function isCaption({ filename }: ManifestFile): boolean {
  return mediaTypeOf(filename)?.kind === 'caption';
}

/** In folders of the groups of the first plan: those of linked datasets have the same, since trainers match folder by folder. */
function inGroupFolders(plan: FolderPlan, _: number, [own]: readonly FolderPlan[]): FolderPlan {
  const { name, groups } = own!.dataset;
  const folderOf = kohyaFolderOf(name, groups);
  const folders = new Map(own!.files.map(({ filename, group }) => [stemOf(filename), folderOf(group)]));
  const files = plan.files.map((file) => {
    const folder = folders.get(stemOf(file.filename)) ?? folderOf(undefined);
    return { ...file, mountedName: `${folder}/${file.mountedName}` };
  });
  return { ...plan, layout: 'kohya', files };
}

/** The masks of mounted images, under the names by which OneTrainer finds them. */
function maskFiles(mask: FolderPlan | undefined, name: string, targets: readonly PlannedFile[]): PlannedFile[] {
  if (mask === undefined) {
    throw new MountError('kind_missing', `"${name}" has no mask, which the layout is for. Mount it without --layout.`);
  }
  const stems = new Set(targets.filter((file) => !isCaption(file)).map(({ filename }) => stemOf(filename)));
  const files = mask.files
    .filter(({ filename }) => mediaTypeOf(filename)?.kind === 'image' && stems.has(stemOf(filename)))
    .map((file) => ({ ...file, mountedName: oneTrainerMaskOf(file.filename), of: 'mask' as const }));
  const taken = new Set(targets.map(({ mountedName }) => mountedName));
  const twice = files.find(({ mountedName }) => taken.has(mountedName))?.mountedName;
  if (twice === undefined) return files;
  const message = `"${name}" has a file ${JSON.stringify(twice)} of its own, which is the name of a mask in this layout. Remove it, or mount without --layout.`;
  throw new MountError('failed', message);
}

/** @param mtimeOf the modification time of a file in milliseconds since 1970 */
export function recordOf(
  { dataset, files, only, layout }: FolderPlan,
  mtimeOf: (file: PlacedFile) => number,
): Omit<MountRecord, 'format' | 'source'> {
  const { id, name, digest, links } = dataset;
  const together = [{ slot: 'target' as const, id, name, digest }, ...links];
  const mountedWith = together.map((each) => {
    return { as: each.slot, dataset_id: each.id, name: each.name, digest: each.digest };
  });
  return {
    ...{ dataset_id: id, name, digest },
    ...(only !== undefined && { only }),
    ...(layout !== undefined && { layout }),
    ...(links.length > 0 && { mounted_with: mountedWith }),
    files: files.map((file) => ({
      filename: file.filename,
      ...(file.of !== undefined && { of: file.of }),
      mounted_name: file.mountedName,
      sha256: file.upload.sha256,
      size_bytes: file.upload.sizeBytes,
      mtime_ms: mtimeOf(file),
    })),
  };
}
