import { type ReactNode, useState } from 'react';
import { Button } from '../../ui/button.js';
import { numberOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';

const SHOWN_AT_FIRST = 10;

interface StemListProps {
  readonly label: string;
  readonly stems: readonly string[];
  /** How many there are; the service lists the first thousand. */
  readonly total: number;
  readonly children: (stem: string) => ReactNode;
}

/** The first ten of a list of stems, and a button that shows all. */
export function StemList({ label, stems, total, children }: StemListProps) {
  const [showsAll, setShowsAll] = useState(false);
  const shown = showsAll ? stems : stems.slice(0, SHOWN_AT_FIRST);
  return (
    <>
      <LongList label={label} items={shown} height="max-h-[36rem]">
        {children}
      </LongList>
      {shown.length < stems.length && (
        <div className="border-t border-line px-3 py-2">
          <Button onClick={() => setShowsAll(true)}>Show all {numberOf(stems.length)}</Button>
        </div>
      )}
      {total > stems.length && (
        <p className="border-t border-line px-3 py-2 text-sm text-muted">
          The first {numberOf(stems.length)} of {numberOf(total)} are listed. Repair these to see the others.
        </p>
      )}
    </>
  );
}
