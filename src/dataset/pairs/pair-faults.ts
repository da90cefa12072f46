import type { DatasetFile, LinkSlot, StoredFile } from '../dataset.js';
import { extensionOf, mediaTypeOf } from '../media.js';
import { sizeFitOf } from './pair-sizes.js';

/**
 * What is wrong with the files of one stem in a control or mask dataset, by the stem's files in the target.
 *
 * - `missing`: the target has images, and no image here is theirs
 * - `ambiguous`: several images are theirs, of which the trainer takes one
 * - `misfit`: the trainer stops at its size, or counts the wrong region
 * - `stretched`: its aspect ratio differs
 * - `clip`: a clip is the control of a clip, which one model takes
 * - `extra`: the target has no image or clip for it
 */
export type PairFault = 'missing' | 'ambiguous' | 'misfit' | 'stretched' | 'clip' | 'extra';

/** Those that come first are errors: the trainer stops, or trains on something else. */
export const PAIR_FAULTS = ['missing', 'ambiguous', 'misfit', 'stretched', 'clip', 'extra'] as const;
const ERRORS: ReadonlySet<PairFault> = new Set(['missing', 'ambiguous', 'misfit']);

/** What decides about a pair, of a stored file without a problem. */
export type PairFile = Pick<StoredFile, 'filename' | 'kind'> & {
  readonly upload: Pick<StoredFile['upload'], 'facts'>;
};

/** The order in which the trainer looks for a control or mask; it takes the first (ai-toolkit `toolkit/dataloader_mixins.py`). */
const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp'];

export function isPairError(fault: PairFault): boolean {
  return ERRORS.has(fault);
}

/** Whether a stored file may be in pairs: an image or a video. */
export function isPairFile({ kind }: PairFile): boolean {
  return kind !== 'caption';
}

/** The files that may be in pairs: those that are stored, without those that a recheck found damaged. */
export function pairFilesIn<F extends DatasetFile>(files: readonly F[]): (F & StoredFile)[] {
  return files.filter(
    (file): file is F & StoredFile =>
      file.upload.state === 'stored' && file.upload.problem === undefined && isPairFile(file as StoredFile),
  );
}

/**
 * Judges the files of one stem. A stem has at most one fault, the first of `PAIR_FAULTS`. Files of types that the trainer does
 * not read are in no pair.
 */
export function pairFaultOf(
  target: readonly PairFile[],
  linked: readonly PairFile[],
  slot: LinkSlot,
): PairFault | undefined {
  const wanting = only(target, isTrainable);
  const found = only(linked, isTrainable);
  const images = only(found, isImage);
  if (wanting.length === 0) return found.length === 0 ? undefined : 'extra';
  const [image] = images;
  if (image === undefined) {
    // Of all models, MiniMax-H3 Ref2V alone takes clips as controls; a clip is never a mask.
    const isForClips = slot !== 'mask' && found.length > 0 && wanting.every(({ kind }) => kind === 'video');
    return isForClips ? 'clip' : 'missing';
  }
  if (images.length > 1) return 'ambiguous';
  let worst: 'stretched' | undefined;
  for (const file of wanting) {
    const fit = fitOf(file, image, slot);
    if (fit === 'misfit') return 'misfit';
    if (fit === 'stretched') worst = 'stretched';
  }
  return worst;
}

/** As `filter`, without a copy if all match, as nearly always: a status calls it for each stem. */
function only(files: readonly PairFile[], matches: (file: PairFile) => boolean): readonly PairFile[] {
  return files.every(matches) ? files : files.filter(matches);
}

function isImage({ kind }: PairFile): boolean {
  return kind === 'image';
}

function isTrainable(file: PairFile): boolean {
  return isPairFile(file) && mediaTypeOf(file.filename)?.trainable === true;
}

function fitOf(target: PairFile, image: PairFile, slot: LinkSlot) {
  const of = sizeOf(target);
  const other = sizeOf(image);
  if (of === undefined || other === undefined) return 'fits';
  return sizeFitOf({ width: of.width, height: of.height, isClip: target.kind === 'video' }, other, slot);
}

/** `undefined` for a container without a parser. */
function sizeOf({ upload: { facts } }: PairFile) {
  if (facts.kind === 'caption') return undefined;
  const { width, height } = facts;
  return width && height ? { width, height } : undefined;
}

/** The number of errors of one stem, 0 or 1. That of a target is the sum over all stems of all its links. */
export function pairErrorsOf(target: readonly PairFile[], linked: readonly PairFile[], slot: LinkSlot): number {
  const fault = pairFaultOf(target, linked, slot);
  return fault !== undefined && isPairError(fault) ? 1 : 0;
}

/** The image that the trainer takes of several with one stem. */
export function imageThatTrainerTakes<F extends PairFile>(linked: readonly F[]): F | undefined {
  const rankOf = ({ filename }: F) => EXTENSIONS.indexOf(extensionOf(filename));
  const [first] = linked
    .filter((file) => file.kind === 'image' && rankOf(file) >= 0)
    .sort((a, b) => rankOf(a) - rankOf(b) || (a.filename < b.filename ? -1 : 1));
  return first;
}
