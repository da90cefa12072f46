import { ChevronRight } from 'lucide-react';
import { type ReactNode, useId, useState } from 'react';
import { numberOf } from '../../ui/format.js';

interface FindingProps {
  readonly title: string;
  readonly count: number;
  /** Text for a count of 0. */
  readonly none: string;
  /** Text for any other count. */
  readonly summary: string;
  /** Whether it is expanded at first. */
  readonly isOpen?: boolean;
  /** Thresholds to adjust; shown also for a count of 0. */
  readonly controls?: ReactNode;
  readonly children: ReactNode;
}

/** One kind of finding: the number of images and, expanded, the images. */
export function Finding({ title, count, none, summary, isOpen = true, controls, children }: FindingProps) {
  // Later findings neither expand nor collapse it; the user does.
  const [isOpenAtFirst] = useState(isOpen);
  return (
    <details open={isOpenAtFirst} className="group rounded-lg border border-line">
      <summary className="flex touch cursor-pointer items-center gap-2 rounded-lg px-3 py-2 hover:bg-raised">
        <ChevronRight size={16} className="shrink-0 transition-transform group-open:rotate-90" aria-hidden />
        <span className="mr-auto font-medium">{title}</span>
        <span
          className={`rounded-full px-2 text-sm tabular-nums ${count > 0 ? 'bg-warn-soft text-warn' : 'bg-raised text-muted'}`}
        >
          {numberOf(count)}
        </span>
      </summary>
      <div className="flex flex-col gap-4 border-t border-line p-3 sm:p-4">
        {controls}
        <p className="text-sm text-muted">{count === 0 ? none : summary}</p>
        {count > 0 && children}
      </div>
    </details>
  );
}

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly onChange: (value: number) => void;
  readonly min: number;
  readonly max: number;
  /** The value in words. */
  readonly text: string;
}

/** A threshold, with its value in words. */
export function Slider({ label, value, onChange, min, max, text }: SliderProps) {
  const id = useId();
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
      <label htmlFor={id} className="min-w-20">
        {label}
      </label>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        value={value}
        aria-valuetext={text}
        onChange={(event) => onChange(event.target.valueAsNumber)}
        className="h-6 w-48 touch max-w-full cursor-pointer accent-accent"
      />
      <span className="text-muted tabular-nums">{text}</span>
    </div>
  );
}
