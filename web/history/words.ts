import type { Revision } from '../../src/client/client.js';
import { numberOf } from '../ui/format.js';

const HOW_WORDS = {
  upload: 'Uploaded',
  delete: 'Deleted',
  edit: 'Edited on the page',
  bulk: 'Bulk change',
  push: 'Pushed',
  restore: 'Restored from',
  undo: 'Undid',
  caption: 'Captions by a model',
  import: 'Before the history began',
} as const satisfies Record<Revision['how'], string>;

/** How the files came to be as they are in a revision: `Uploaded`, `Restored from 11`. */
export function howOf({ how, restored_from, added, changed, removed }: Revision): string {
  if (how === 'bulk' && removed > 0 && added + changed === 0) return 'Deleted on the page';
  return how === 'restore' || how === 'undo' ? `${HOW_WORDS[how]} ${restored_from}` : HOW_WORDS[how];
}

/** `2 added, 1 removed, 3 changed`. */
export function countsInWords({ added, removed, changed }: Pick<Revision, 'added' | 'removed' | 'changed'>): string {
  const parts = [
    added > 0 && `${numberOf(added)} added`,
    removed > 0 && `${numberOf(removed)} removed`,
    changed > 0 && `${numberOf(changed)} changed`,
  ];
  return parts.filter(Boolean).join(', ') || 'no file changed';
}

/** The account and, if it is known, the token: `studio, token laptop`; `studio, captions by qwen3-vl`. */
export function creatorOf({ account, token, how }: Pick<Revision, 'account' | 'token' | 'how'>): string {
  if (token !== null && how === 'caption') return `${account}, ${token.name}`;
  return token === null ? account : `${account}, token ${token.name}`;
}
