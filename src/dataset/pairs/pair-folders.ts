import { parseDatasetName } from '../names.js';

export const PAIR_PARTS = ['target', 'control_1', 'control_2', 'control_3', 'mask'] as const;
export type PairPart = (typeof PAIR_PARTS)[number];

export interface PairFolder {
  readonly part: PairPart;
  /** As spelled, such as `Control` or `control_2`. */
  readonly folder: string;
}

export interface PairDataset extends PairFolder {
  readonly name: string;
  readonly role: 'training' | 'control' | 'mask';
}

const CONTROL = /^control_(\d+)$/;

const NONE: ReadonlySet<string> = new Set();

/**
 * Finds `target`, `control` or `control_1` to `control_3` (or `control-1`), and `mask`, in upper or lower case.
 *
 * @param linked slots whose folder may be absent, since they are linked already
 * @returns folders in the order of `PAIR_PARTS`, with a `fault` if they make no pairs; `undefined` without controls and masks
 */
export function pairFoldersOf(
  names: readonly string[],
  linked: ReadonlySet<string> = NONE,
): { readonly folders: readonly PairFolder[]; readonly fault?: string } | undefined {
  const parts = names.map((folder) => ({ folder, part: partOf(folder) }));
  const folders = PAIR_PARTS.flatMap((part) =>
    parts.filter((each) => each.part === part).map(({ folder }) => ({ part, folder })),
  );
  if (!folders.some(({ part }) => part !== 'target')) return undefined;
  const fault = twoOfOnePart(folders) ?? missingControl(folders, linked) ?? surplusControl(names);
  return { folders, ...(fault !== undefined && { fault }) };
}

/** `railway`, `railway-control` (or `railway-control-1` …), `railway-mask`. @throws ServiceError `invalid_name` */
export function pairDatasetsOf(name: string, folders: readonly PairFolder[]): PairDataset[] {
  return folders.map(({ part, folder }) => ({
    part,
    folder,
    name: parseDatasetName(part === 'target' ? name : `${name.trim()}-${folder.toLowerCase().replace('_', '-')}`),
    role: part === 'target' ? 'training' : part === 'mask' ? 'mask' : 'control',
  }));
}

function partOf(folder: string): PairPart | undefined {
  const name = spelled(folder);
  return name === 'control' ? 'control_1' : PAIR_PARTS.find((part) => part === name);
}

/** `Control-1` as `control_1`. */
function spelled(folder: string): string {
  return folder.toLowerCase().replace(/^control-/, 'control_');
}

function twoOfOnePart(folders: readonly PairFolder[]): string | undefined {
  for (const [index, { part, folder }] of folders.entries()) {
    const next = folders[index + 1];
    if (next?.part === part)
      return `${folder}/ and ${next.folder}/ are both ${wordsOf(part)}. Rename or remove one of them.`;
  }
  return undefined;
}

/** Controls are linked without a gap. */
function missingControl(folders: readonly PairFolder[], linked: ReadonlySet<string>): string | undefined {
  const isFree = (part: string) => CONTROL.test(part) && !linked.has(part);
  const free = PAIR_PARTS.filter(isFree);
  const renames = folders
    .filter(({ part }) => isFree(part))
    .flatMap(({ folder, part }, i) => (part === free[i] ? [] : [{ folder, to: free[i] }]));
  const [first] = renames;
  if (first === undefined) return undefined;
  const rename = renames.map(({ folder, to }) => `${folder}/ to ${to}/`).join(' and ');
  return `Controls are numbered from 1 on, and there is no ${first.to}/. Rename ${rename}, or add ${first.to}/.`;
}

function surplusControl(names: readonly string[]): string | undefined {
  const surplus = names.find((folder) => partOf(folder) === undefined && CONTROL.test(spelled(folder)));
  if (surplus === undefined) return undefined;
  return `${surplus}/ can't be linked: a dataset has at most three controls, control_1/ to control_3/.`;
}

function wordsOf(part: PairPart): string {
  return part === 'target' ? 'the target' : part === 'mask' ? 'the mask' : part.replace('_', ' ');
}
