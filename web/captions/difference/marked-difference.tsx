import { memo, useMemo } from 'react';
import { differenceOf } from '../../../src/dataset/history/word-difference.js';

/** A text, with the words marked that a change removes and adds. */
export const Difference = memo(function Difference({ before, after }: { before: string; after: string }) {
  const pieces = useMemo(() => differenceOf(before, after), [before, after]);
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
