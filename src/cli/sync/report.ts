import { shellWord } from '../../command-line.js';
import { kindsOf } from '../folder/report.js';
import { withOwnCommand } from '../terminal/own-command.js';
import { printable } from '../terminal/text.js';
import type { Kept, SyncPlan } from './compare.js';

/** The direction of a command, and the commands to print for the other direction. */
export interface SyncDirection {
  readonly source: 'folder' | 'dataset';
  readonly target: 'folder' | 'dataset';
  /** The command that copies from the target to the source. */
  readonly opposite: string;
  /** Whether the command removes from the target what was removed from the source. */
  readonly replaces: boolean;
}

interface NamedDataset {
  readonly id: string;
  readonly name: string;
}

interface DirectionOptions<Folder = string> {
  readonly folder: Folder;
  readonly url: string | undefined;
  readonly replaces: boolean;
}

/** The direction of a push to a dataset. @param options.folder `undefined` if the files are in several folders */
export function pushDirection(dataset: NamedDataset, options: DirectionOptions<string | undefined>): SyncDirection {
  const { folder, url, replaces } = options;
  const path = folder === undefined ? 'FOLDER' : pathWord(folder);
  const opposite = `trainyard pull${urlOption(url)} ${datasetWord(dataset)} ${path}`;
  return { source: 'folder', target: 'dataset', opposite, replaces };
}

/** The direction of a pull into a folder. */
export function pullDirection(dataset: NamedDataset, { folder, url, replaces }: DirectionOptions): SyncDirection {
  const opposite = `trainyard push${urlOption(url)} ${pathWord(folder)} --name ${datasetWord(dataset)}`;
  return { source: 'dataset', target: 'folder', opposite, replaces };
}

/** A dataset's name as a word for the shell, or its id if the name looks like an option. */
export function datasetWord({ id, name }: NamedDataset): string {
  return shellWord(name.startsWith('-') ? id : name);
}

function pathWord(path: string): string {
  return shellWord(path.startsWith('-') ? `./${path}` : path);
}

function urlOption(url: string | undefined): string {
  return url === undefined ? '' : ` --url ${shellWord(url)}`;
}

/** Says which files of the target stay although the source differs, and how to copy, remove or replace them. */
export function keptLines(kept: SyncPlan['kept'], { source, target, opposite, replaces }: SyncDirection): string[] {
  const [fetch, send, win] = source === 'folder' ? ['fetch', 'send', '--ours'] : ['send', 'fetch', '--theirs'];
  const mirrored = replaces ? ` To make the ${target} what the ${source} is, add ${win}.` : '';
  const opposed = withOwnCommand(`${mirrored} To ${fetch} what is newer there, run: ${opposite}`);
  const texts: Record<Kept, readonly [is: string, are: string, how: string, advice: string]> = {
    'changed-in-target': ['is', 'are', `newer in the ${target}`, opposed],
    'added-to-target': ['is', 'are', `only in the ${target}`, opposed],
    'removed-from-source': [
      ...(['was', 'were', `removed from the ${source}`] as const),
      ` To remove them from the ${target} too, add --replace.`,
    ],
    'removed-from-target': ['was', 'were', `removed from the ${target}`, ` To ${send} them again, add ${win}.`],
    'target-wins': ['stays', 'stay', `as in the ${target}`, ''],
  };
  return Object.entries(texts).flatMap(([reason, [is, are, how, advice]]) => {
    const names = kept[reason as Kept];
    if (names.length === 0) return [];
    return [`${kindsOf(names)} ${names.length === 1 ? is : are} ${how}: ${namesOf(names)}.${advice}`];
  });
}

/** The files that stay, for `--json`. */
export function keptDocument(
  kept: SyncPlan['kept'],
  { source, target }: SyncDirection,
): Record<string, readonly string[]> {
  return {
    [`changed_in_${target}`]: kept['changed-in-target'],
    [`only_in_${target}`]: kept['added-to-target'],
    [`removed_from_${source}`]: kept['removed-from-source'],
    [`removed_from_${target}`]: kept['removed-from-target'],
    [`decided_for_${target}`]: kept['target-wins'],
  };
}

/** The first five names, and how many more there are. */
export function namesOf(filenames: readonly string[]): string {
  const first = filenames.slice(0, 5).map(printable).join(', ');
  return filenames.length <= 5 ? first : `${first} and ${(filenames.length - 5).toLocaleString('en')} more`;
}
