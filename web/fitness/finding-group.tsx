import { ChevronRight } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { numberOf } from '../ui/format.js';

interface FindingGroupProps {
  readonly title: string;
  readonly count: number;
  /** Whether they keep the dataset from READY. */
  readonly areErrors?: boolean;
  /** Whether it is unfolded at first. */
  readonly isOpen?: boolean;
  /** What to do about all of them. */
  readonly advice?: ReactNode;
  readonly children: ReactNode;
}

/** Findings of one kind, which the user can fold. */
export function FindingGroup({ title, count, areErrors = false, isOpen = true, advice, children }: FindingGroupProps) {
  // Later findings neither unfold nor fold it; the user does.
  const [isOpenAtFirst] = useState(isOpen);
  const colours = count === 0 ? 'bg-raised text-muted' : areErrors ? 'bg-bad-soft text-bad' : 'bg-warn-soft text-warn';
  return (
    <details open={isOpenAtFirst} className="group rounded-lg border border-line">
      <summary className="flex touch cursor-pointer items-center gap-2 rounded-lg px-3 py-2 font-medium hover:bg-raised">
        <ChevronRight size={16} className="shrink-0 transition-transform group-open:rotate-90" aria-hidden />
        <span className="mr-auto">{title}</span>
        <span className={`rounded-full px-2 text-sm tabular-nums ${colours}`}>{numberOf(count)}</span>
      </summary>
      <div className="border-t border-line">
        {advice !== undefined && (
          <p className="max-w-prose border-b border-line px-3 py-2 text-sm text-muted">{advice}</p>
        )}
        {children}
      </div>
    </details>
  );
}
