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

interface DirectionOptions {
  /** `undefined` if the files are in several folders. */
  readonly folder: string | undefined;
  /** The option `--url` of the command. */
  readonly url: string | undefined;
  /** The option `--replace` of the command. */
  readonly replaces: boolean;
}

/** The direction of a push to a dataset. */
export function pushDirection(dataset: NamedDataset, { folder, url, replaces }: DirectionOptions): SyncDirection {
  const words = [wordOf(dataset), folder === undefined ? 'FOLDER' : pathWord(folder)];
  const opposite = `trainyard pull${urlOption(url)} ${words.join(' ')}`;
  return { source: 'folder', target: 'dataset', opposite, replaces };
}

/** The direction of a pull into a folder. */
export function pullDirection(dataset: NamedDataset, options: DirectionOptions & { folder: string }): SyncDirection {
  const { folder, url, replaces } = options;
  const opposite = `trainyard push${urlOption(url)} ${pathWord(folder)} --name ${wordOf(dataset)}`;
  return { source: 'dataset', target: 'folder', opposite, replaces };
}

export interface NamedDataset {
  readonly id: string;
  readonly name: string;
}

/** A dataset's name as a word for the shell, or its id if the name looks like an option. */
function wordOf({ id, name }: NamedDataset): string {
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
  const opposed = withOwnCommand(`To ${fetch} what is newer there, run: ${opposite}`);
  const mirrored = replaces ? ` To make the ${target} what the ${source} is, add ${win}.` : '';
  const sentences: Record<Kept, (names: readonly string[], is: string) => string> = {
    'changed-in-target': (names, is) =>
      `${kindsOf(names)} ${is} newer in the ${target}: ${namesOf(names)}.${mirrored} ${opposed}`,
    'added-to-target': (names, is) =>
      `${kindsOf(names)} ${is} only in the ${target}: ${namesOf(names)}.${mirrored} ${opposed}`,
    'removed-from-source': (names, is) =>
      `${kindsOf(names)} ${is === 'is' ? 'was' : 'were'} removed from the ${source}: ${namesOf(names)}. To remove them from the ${target} too, add --replace.`,
    'removed-from-target': (names, is) =>
      `${kindsOf(names)} ${is === 'is' ? 'was' : 'were'} removed from the ${target}: ${namesOf(names)}. To ${send} them again, add ${win}.`,
    'target-wins': (names, is) =>
      `${kindsOf(names)} ${is === 'is' ? 'stays' : 'stay'} as in the ${target}: ${namesOf(names)}.`,
  };
  return Object.entries(sentences).flatMap(([reason, sentence]) => {
    const names = kept[reason as Kept];
    return names.length === 0 ? [] : [sentence(names, names.length === 1 ? 'is' : 'are')];
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
