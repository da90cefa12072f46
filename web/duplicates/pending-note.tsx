import { countOf } from '../ui/format.js';

/** Says that the list of duplicates is not complete. */
export function PendingNote({ pending }: { pending: number }) {
  if (pending === 0) return null;
  return (
    <p role="status" className="text-sm text-busy">
      {countOf(pending, 'picture')} {pending === 1 ? 'is' : 'are'} not compared yet.
    </p>
  );
}
