import type { ReactNode } from 'react';
import { LongList } from '../../ui/long-list.js';
import { Difference } from '../difference/marked-difference.js';
import type { CaptionChange } from './plan.js';

interface ListedChange {
  readonly change: CaptionChange;
  readonly reason?: ReactNode;
}

/** A list of changes: removed words struck out, added words underlined. A change with a reason shows the reason instead. */
export function ChangeList({ label, changes }: { label: string; changes: readonly ListedChange[] }) {
  return (
    <div className="rounded-lg border border-line">
      <LongList label={label} items={changes}>
        {({ change, reason }) => (
          <div className="flex flex-col gap-0.5 px-3 py-2 text-sm">
            <span className="text-xs wrap-anywhere text-muted">{change.filename}</span>
            {reason === undefined ? (
              <Difference before={change.before ?? ''} after={change.after} />
            ) : (
              <p className="wrap-anywhere text-bad">{reason}</p>
            )}
          </div>
        )}
      </LongList>
    </div>
  );
}
