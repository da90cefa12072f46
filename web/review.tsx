import { ChevronDown, ChevronUp } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import { KEY_TABLE, type KeyName, keyText, withKey } from './keys.js';
import { Button } from './ui/button.js';
import { numberOf } from './ui/format.js';
import { LoadFailure } from './ui/loaded.js';

/**
 * The entry of a review that a parameter of the address names; once that has left the list, the one in its place.
 *
 * @param namesOf the names of an entry, the first of which the address gets
 */
export function useReviewed<T>(
  entries: readonly T[] | undefined,
  parameter: string,
  namesOf: (entry: T) => readonly string[],
) {
  const [parameters, setParameters] = useSearchParams();
  const [lastIndex, setLastIndex] = useState(0);
  const named = parameters.get(parameter) ?? '';
  const at = entries?.findIndex((entry) => namesOf(entry).includes(named)) ?? -1;
  const index = at >= 0 ? at : Math.min(lastIndex, Math.max(0, (entries?.length ?? 0) - 1));
  if (index !== lastIndex && entries !== undefined) setLastIndex(index);
  const show = (next: T | undefined) =>
    setParameters(next === undefined ? {} : { [parameter]: namesOf(next)[0] ?? '' }, { replace: true });
  const move = (step: -1 | 1) => entries?.[index + step] !== undefined && show(entries[index + step]);
  const entry = entries?.[index];
  // An entry that is found meanwhile must not take the place of the one that the keys act on.
  useEffect(() => {
    if (at < 0 && entry !== undefined) show(entry);
  });
  return { index, entry, show, move };
}

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
        title={`${previous} (${keyText(keys[0])})`}
        disabled={index === 0}
        onClick={() => onMove(-1)}
      />
      <Button
        icon={ChevronDown}
        kind="quiet"
        aria-label={next}
        title={`${next} (${keyText(keys[1])})`}
        disabled={index === count - 1}
        onClick={() => onMove(1)}
      />
    </div>
  );
}

/** The key of a button, beside its words. */
export function KeyHint({ name }: { name: KeyName }) {
  return (
    <kbd aria-hidden className="rounded border border-current/40 px-1 font-sans text-xs pointer-coarse:hidden">
      {keyText(KEY_TABLE[name].keys[0])}
    </kbd>
  );
}

interface NothingToReviewProps {
  readonly datasetId: string;
  /** Whether the entries are read. */
  readonly isRead: boolean;
  readonly error: Error | null;
  /** Such as `Could not read the proposals.` */
  readonly failure: string;
  readonly onRetry: () => unknown;
  /** That the entries are being read, or that none is left. */
  readonly words: string;
  readonly children: ReactNode;
}

/** In place of the entries of a review. */
export function NothingToReview(props: NothingToReviewProps) {
  const { datasetId, isRead, error, failure, onRetry, words, children } = props;
  return (
    <div className="flex flex-col items-center gap-3 px-4 py-16 text-center">
      {!isRead && error !== null ? (
        <LoadFailure error={error} what={failure} onRetry={onRetry} />
      ) : (
        <p role="status" className="text-lg font-medium">
          {words}
        </p>
      )}
      {children}
      {isRead && (
        <Link href={`/datasets/${datasetId}`} className="text-link">
          Go to the workbench
        </Link>
      )}
    </div>
  );
}

/** A link to a review, as a button. */
export function ReviewLink({ href, title, children }: { href: string; title?: string; children: ReactNode }) {
  return (
    <Link
      href={href}
      title={title}
      className="inline-flex min-h-9 touch items-center rounded-lg bg-accent px-3 py-1.5 text-sm font-medium text-on-accent hover:brightness-110"
    >
      {children}
    </Link>
  );
}

interface ReviewChipProps {
  readonly datasetId: string;
  readonly view: 'duplicates' | 'proposals';
  readonly words: string;
  readonly count: number;
}

/** A link to a review in the bar of the workbench, if there is something to review. */
export function ReviewChip({ datasetId, view, words, count }: ReviewChipProps) {
  if (count === 0) return null;
  return (
    <Link
      href={`/datasets/${datasetId}/${view}`}
      title={withKey(`Review ${words.toLowerCase()}`, view)}
      className="inline-flex min-h-9 touch shrink-0 items-center gap-1.5 rounded-full border border-line px-3 text-sm hover:bg-raised"
    >
      {words} <span className="tabular-nums">{numberOf(count)}</span>
    </Link>
  );
}
