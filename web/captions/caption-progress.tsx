import { numberOf } from '../ui/format.js';
import { ProgressBar } from '../ui/progress-bar.js';

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
      <ProgressBar label={what} total={total} uploaded={done} />
      {numberOf(done)} of {numberOf(total)} {what}
    </div>
  );
}
