import type { DatasetFile } from '../../src/client/client.js';
import type { LinkSlot } from '../../src/dataset/dataset.js';
import { stemOf } from '../../src/dataset/media.js';
import {
  imageThatTrainerTakes,
  type PairFault,
  type PairFile,
  pairFaultOf,
} from '../../src/dataset/pairs/pair-faults.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import type { Pair } from './pairs.js';

/** A control or the mask of a training dataset. */
export interface LinkedDataset {
  readonly slot: LinkSlot;
  readonly id: string;
  readonly name: string;
  /** Its images and clips by stem, without damaged ones; `undefined` until they are known. */
  readonly files: FilesByStem | undefined;
}

type FilesByStem = ReadonlyMap<string, readonly DatasetFile[]>;

/** What a linked dataset has for a pair. */
export interface Counterpart extends Pick<LinkedDataset, 'slot' | 'id' | 'name'> {
  readonly isKnown: boolean;
  /** The image that the trainer takes, or a clip; `undefined` if there is none. */
  readonly file: DatasetFile | undefined;
  readonly fault: PairFault | undefined;
  /** All files of the stem. */
  readonly filenames: readonly string[];
}

const NONE: readonly DatasetFile[] = [];

/** What each linked dataset has for a pair. */
export function counterpartsOf(linked: readonly LinkedDataset[], { stem, media }: PairMedia): Counterpart[] {
  return linked.map(({ slot, id, name, files: all }) => {
    const files = all?.get(stem) ?? NONE;
    const fault = all && faultOf(media, files, slot);
    const taken = files.length < 2 ? files[0] : (imageThatTrainerTakes(files) ?? files[0]);
    const file = fault === 'missing' ? undefined : taken;
    const filenames = files.map(({ filename }) => filename);
    return { slot, id, name, isKnown: all !== undefined, file, fault, filenames };
  });
}

/** Whether a control or mask of a pair is missing. */
export function isUnpaired({ stem, media }: PairMedia, linked: readonly LinkedDataset[]): boolean {
  return linked.some(({ files, slot }) => files && faultOf(media, files.get(stem) ?? NONE, slot) === 'missing');
}

type PairMedia = Pick<Pair, 'stem' | 'media'>;

function faultOf(media: readonly DatasetFile[], files: readonly DatasetFile[], slot: LinkSlot): PairFault | undefined {
  return pairFaultOf(media.filter(isSound).map(pairFileOf), files.map(pairFileOf), slot);
}

/** A file of an answer, as the rules of pairs know it. */
function pairFileOf({ filename, kind, width = 0, height = 0 }: DatasetFile): PairFile {
  return { filename, kind, upload: { facts: { kind, width, height } as PairFile['upload']['facts'] } };
}

function isSound({ kind, problem }: DatasetFile): boolean {
  return kind !== 'caption' && problem === undefined;
}

/** The maps of arrays of files, which stay the same while their dataset does. */
const maps = new WeakMap<readonly DatasetFile[], FilesByStem>();

/** The images and clips of a dataset by stem. */
export function filesByStem(files: readonly DatasetFile[]): FilesByStem {
  const known = maps.get(files);
  if (known !== undefined) return known;
  const map = groupedBy(files.filter(isSound), ({ filename }) => stemOf(filename));
  maps.set(files, map);
  return map;
}
