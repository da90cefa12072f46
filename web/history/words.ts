import type { Revision } from '../../src/client/client.js';
import { numberOf } from '../ui/format.js';

/** How the files came to be as they are in a revision: `Uploaded`, `Restored from 11`. */
export function howOf({ how, restored_from, added, changed, removed }: Revision): string {
  switch (how) {
    case 'upload':
      return 'Uploaded';
    case 'delete':
      return 'Deleted';
    case 'edit':
      return 'Edited on the page';
    case 'bulk':
      return removed > 0 && added + changed === 0 ? 'Deleted on the page' : 'Bulk change';
    case 'push':
      return 'Pushed';
    case 'restore':
      return `Restored from ${restored_from}`;
    case 'undo':
      return `Undid ${restored_from}`;
    case 'caption':
      return 'Captions by a model';
    case 'import':
      return 'Before the history began';
  }
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
