import { memo, useMemo } from 'react';
import { differenceOf } from '../../../src/dataset/history/word-difference.js';

interface DifferenceProps {
  readonly before: string;
  readonly after: string;
  /** Shows one of the two texts, with what the other lacks: beside one another, texts with few common words stay readable. */
  readonly only?: 'before' | 'after';
}

/** A text, with the words marked that a change removes and adds. */
export const Difference = memo(function Difference({ before, after, only }: DifferenceProps) {
  const pieces = useMemo(() => {
    const left = only === 'before' ? 'added' : only === 'after' ? 'removed' : undefined;
    return differenceOf(before, after).filter(({ kind }) => kind !== left);
  }, [before, after, only]);
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
