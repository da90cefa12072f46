import { numberOf } from '../ui/format.js';

interface CaptionProgressProps {
  readonly done: number;
  readonly total: number;
  /** The rest of the sentence, such as `captions read` in `12 of 100 captions read`. */
  readonly what: string;
}

/** A progress bar over a line such as `12 of 100 captions read`. */
export function CaptionProgress({ done, total, what }: CaptionProgressProps) {
  return (
    <div className="flex min-w-40 grow flex-col gap-1.5 text-sm text-muted">
      <progress
        value={done}
        max={total}
        aria-label={what}
        className="h-2 w-full appearance-none overflow-hidden rounded-full bg-raised [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-raised [&::-webkit-progress-value]:bg-accent"
      />
      {numberOf(done)} of {numberOf(total)} {what}
    </div>
  );
}
