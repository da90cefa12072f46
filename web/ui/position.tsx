import { ChevronDown, ChevronUp } from 'lucide-react';
import { Button } from './button.js';
import { numberOf } from './format.js';

interface PositionProps {
  /** Such as `Group`. */
  readonly what: string;
  readonly index: number;
  readonly count: number;
  /** The keys to the one before and the next. */
  readonly keys: readonly [previous: string, next: string];
  readonly onMove: (step: -1 | 1) => unknown;
}

/** `Group 2 of 16`, and the buttons to those beside it. */
export function Position({ what, index, count, keys, onMove }: PositionProps) {
  const [previous, next] = [`Previous ${what.toLowerCase()}`, `Next ${what.toLowerCase()}`];
  return (
    <div className="flex items-center gap-1">
      <h2 aria-live="polite" className="mr-1 font-semibold tabular-nums">
        {what} {numberOf(index + 1)} of {numberOf(count)}
      </h2>
      <Button
        icon={ChevronUp}
        kind="quiet"
        aria-label={previous}
        title={`${previous} (${keys[0]})`}
        disabled={index === 0}
        onClick={() => onMove(-1)}
      />
      <Button
        icon={ChevronDown}
        kind="quiet"
        aria-label={next}
        title={`${next} (${keys[1]})`}
        disabled={index === count - 1}
        onClick={() => onMove(1)}
      />
    </div>
  );
}
