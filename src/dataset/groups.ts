import { byFilename } from './names.js';

/** Files that a trainer reads equally often, as in a folder `10_name` of kohya's sd-scripts. */
export interface Group {
  readonly name: string;
  /** How often a trainer reads each file in one epoch. */
  readonly repeats: number;
  /** Whether they are regularisation images, which keep a class from changing. */
  readonly isReg: boolean;
}

export const MAX_GROUPS = 200;
export const MAX_REPEATS = 10_000;

const REG_FOLDER = 'reg';

/** For a new group, and for a file of a revision whose group is gone. */
export const NEW_GROUP = { repeats: 1, isReg: false } as const;

/**
 * The folder of a group as sd-scripts reads its number of repeats (`library/config_util.py`, `extract_dreambooth_params`). A file
 * without a group is in `1_` and the name of its dataset. sd-scripts skips `reg`, which has no number and is for `--reg_data_dir`.
 */
export function kohyaFolderOf(datasetName: string, groups: readonly Group[]): (group: string | undefined) => string {
  const folders = new Map(
    groups.map(({ name, repeats, isReg }) => [name, `${isReg ? `${REG_FOLDER}/` : ''}${repeats}_${name}`]),
  );
  return (group) => folders.get(group ?? '') ?? `${NEW_GROUP.repeats}_${group ?? datasetName}`;
}

/** The groups of files, by name; one without files is not among them. */
export function groupsOf(
  files: readonly { readonly group?: string | undefined }[],
  groups: readonly Group[],
): (Group & { readonly files: number })[] {
  const counts = new Map<string, number>();
  for (const { group } of files) if (group !== undefined) counts.set(group, (counts.get(group) ?? 0) + 1);
  const known = new Map(groups.map((group) => [group.name, group]));
  return [...counts]
    .map(([name, count]) => ({ name, ...(known.get(name) ?? NEW_GROUP), files: count }))
    .sort((a, b) => byFilename({ filename: a.name }, { filename: b.name }));
}
