import { Button } from '../ui/button.js';
import { countOf, messageOf } from '../ui/format.js';
import type { FoundDuplicates } from './use-duplicates.js';

/** Says that the list of duplicates is not complete. */
export function PendingNote({ pending }: Pick<FoundDuplicates, 'pending'>) {
  if (pending === 0) return null;
  return (
    <p role="status" className="text-sm text-busy">
      {countOf(pending, 'picture')} {pending === 1 ? 'is' : 'are'} not compared yet.
    </p>
  );
}

/** Says that there is no list of duplicates. */
export function NotCompared({ error, retry }: Pick<FoundDuplicates, 'error' | 'retry'>) {
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
      Could not compare the pictures. {messageOf(error)} <Button onClick={retry}>Try again</Button>
    </div>
  );
}
