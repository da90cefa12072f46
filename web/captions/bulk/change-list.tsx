import type { ReactNode } from 'react';
import { LongList } from '../../ui/long-list.js';
import { Difference } from '../difference/marked-difference.js';
import type { CaptionChange } from './plan.js';

interface ListedChange {
  readonly change: CaptionChange;
  readonly reason?: ReactNode;
}

interface ChangeListProps {
  readonly label: string;
  readonly changes: readonly ListedChange[];
  /** The files whose changes are left out. With it, each change has a box. */
  readonly leftOut?: ReadonlySet<string>;
  readonly onToggle?: (filename: string) => void;
}

/** A list of changes: removed words struck out, added words underlined. A change with a reason shows the reason instead. */
export function ChangeList({ label, changes, leftOut, onToggle }: ChangeListProps) {
  return (
    <LongList isFramed label={label} items={changes}>
      {({ change: { filename, before, after }, reason }) => (
        <div className="flex flex-col gap-0.5 px-3 py-2 text-sm">
          {leftOut === undefined ? (
            <span className="text-xs wrap-anywhere text-muted">{filename}</span>
          ) : (
            <label className="-my-1 flex min-h-6 cursor-pointer items-center gap-2 text-xs text-muted pointer-coarse:min-h-11">
              <input
                type="checkbox"
                checked={!leftOut.has(filename)}
                onChange={() => onToggle?.(filename)}
                aria-label={`Change ${filename}`}
                className="size-4 shrink-0 accent-accent"
              />
              <span className="wrap-anywhere">{filename}</span>
            </label>
          )}
          {reason !== undefined ? (
            <p className="wrap-anywhere text-bad">{reason}</p>
          ) : leftOut?.has(filename) ? (
            <p className="whitespace-pre-wrap wrap-anywhere text-muted">{before}</p>
          ) : (
            <Difference before={before ?? ''} after={after} />
          )}
        </div>
      )}
    </LongList>
  );
}
