import { memo, useMemo } from 'react';
import { LongList } from '../../ui/long-list.js';
import { differenceOf } from './difference.js';
import type { CaptionChange } from './plan.js';

interface ListedChange {
  readonly change: CaptionChange;
  readonly reason?: string;
}

/** A list of changes: removed words struck out, added words underlined. A change with a reason shows the reason instead. */
export function ChangeList({ label, changes }: { label: string; changes: readonly ListedChange[] }) {
  return (
    <div className="rounded-lg border border-line">
      <LongList label={label} items={changes}>
        {({ change, reason }) => (
          <div className="flex flex-col gap-0.5 px-3 py-2 text-sm">
            <span className="text-xs wrap-anywhere text-muted">{change.filename}</span>
            {reason === undefined ? <Difference change={change} /> : <p className="wrap-anywhere text-bad">{reason}</p>}
          </div>
        )}
      </LongList>
    </div>
  );
}

const Difference = memo(function Difference({ change: { before, after } }: { change: CaptionChange }) {
  const pieces = useMemo(() => differenceOf(before ?? '', after ?? ''), [before, after]);
  return (
    <p className="whitespace-pre-wrap wrap-anywhere">
      {pieces.map(({ kind, text }, index) => {
        // biome-ignore-start lint/suspicious/noArrayIndexKey: pieces have no state of their own
        if (kind === 'same') return <span key={index}>{text}</span>;
        if (kind === 'removed') {
          return (
            <del key={index} className="rounded-xs bg-bad-soft text-bad">
              {text}
            </del>
          );
        }
        return (
          <ins key={index} className="rounded-xs bg-good-soft font-semibold text-good underline">
            {text}
          </ins>
        );
        // biome-ignore-end lint/suspicious/noArrayIndexKey: as above
      })}
    </p>
  );
});
