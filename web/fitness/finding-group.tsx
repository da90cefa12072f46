import { ChevronRight } from 'lucide-react';
import type { ReactNode } from 'react';
import { numberOf } from '../ui/format.js';

interface FindingGroupProps {
  readonly title: string;
  readonly count: number;
  /** Whether they keep the dataset from READY. */
  readonly areErrors: boolean;
  readonly children: ReactNode;
}

/** Findings of one kind, which the user can fold. */
export function FindingGroup({ title, count, areErrors, children }: FindingGroupProps) {
  return (
    <details open className="group rounded-lg border border-line">
      <summary className="flex touch cursor-pointer items-center gap-2 rounded-lg px-3 py-2 font-medium hover:bg-raised">
        <ChevronRight size={16} className="shrink-0 transition-transform group-open:rotate-90" aria-hidden />
        <span className="mr-auto">{title}</span>
        <span
          className={`rounded-full px-2 text-sm tabular-nums ${areErrors ? 'bg-bad-soft text-bad' : 'bg-warn-soft text-warn'}`}
        >
          {numberOf(count)}
        </span>
      </summary>
      <div className="border-t border-line">{children}</div>
    </details>
  );
}
