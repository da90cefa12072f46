import { shellWord } from '../../command-line.js';
import { kindsOf } from '../folder/report.js';
import { withOwnCommand } from '../terminal/own-command.js';
import { printable } from '../terminal/text.js';
import type { Kept, SyncPlan } from './compare.js';

export interface SyncDirection {
  readonly source: 'folder' | 'dataset';
  readonly target: 'folder' | 'dataset';
  /** The command for the other direction. */
  readonly opposite: string;
  /** The command removes from the target what was removed from the source. */
  readonly replaces: boolean;
}

interface NamedDataset {
  readonly id: string;
  readonly name: string;
}

interface DirectionOptions {
  /** `undefined` if the files are in several folders. */
  readonly folder: string | undefined;
  readonly url: string | undefined;
  readonly replaces: boolean;
}

export function pushDirection(dataset: NamedDataset, { folder, url, replaces }: DirectionOptions): SyncDirection {
  const opposite = `trainyard pull${urlOption(url)} ${datasetWord(dataset)} ${pathWord(folder)}`;
  return { source: 'folder', target: 'dataset', opposite, replaces };
}

export function pullDirection(dataset: NamedDataset, { folder, url, replaces }: DirectionOptions): SyncDirection {
  const opposite = `trainyard push${urlOption(url)} ${pathWord(folder)} --name ${datasetWord(dataset)}`;
  return { source: 'dataset', target: 'folder', opposite, replaces };
}

/** The id, for a name that looks like an option. */
export function datasetWord({ id, name }: NamedDataset): string {
  return shellWord(name.startsWith('-') ? id : name);
}

function pathWord(path = 'FOLDER'): string {
  return shellWord(path.startsWith('-') ? `./${path}` : path);
}

function urlOption(url: string | undefined): string {
  return url === undefined ? '' : ` --url ${shellWord(url)}`;
}

/** Says which files stay although the source differs, and how to change that. */
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

export function namesOf(filenames: readonly string[]): string {
  const first = filenames.slice(0, 5).map(printable).join(', ');
  return filenames.length <= 5 ? first : `${first} and ${(filenames.length - 5).toLocaleString('en')} more`;
}
