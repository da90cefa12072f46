import type { UseInfiniteQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Button } from './button.js';
import { messageOf } from './format.js';

/** Why something that the user did has failed; hidden while there is nothing to say. */
export function Alert({ className = '', children }: { className?: string; children: ReactNode }) {
  return (
    <p role="alert" className={`text-sm text-bad wrap-anywhere empty:hidden ${className}`}>
      {children}
    </p>
  );
}

interface LoadFailureProps {
  readonly error: Error | null;
  /** A sentence before the reason, such as `Could not read all captions.` */
  readonly what?: string;
  readonly onRetry: () => unknown;
}

/** Why an answer of the service is missing, if there is an error. */
export function LoadFailure({ error, what, onRetry }: LoadFailureProps) {
  if (error === null) return null;
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
      {what} {messageOf(error)} <Button onClick={() => void onRetry()}>Try again</Button>
    </div>
  );
}

interface MoreButtonProps {
  readonly of: Pick<UseInfiniteQueryResult, 'hasNextPage' | 'fetchNextPage' | 'isFetchingNextPage'>;
  readonly children: ReactNode;
}

/** Reads the next page of a list, if there is one. */
export function MoreButton({ of: { hasNextPage, fetchNextPage, isFetchingNextPage }, children }: MoreButtonProps) {
  if (!hasNextPage) return null;
  return (
    <div>
      <Button disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
        {isFetchingNextPage ? 'Loading …' : children}
      </Button>
    </div>
  );
}

interface LoadedProps<T> {
  /** The query that reads it. */
  readonly of: { readonly data: T | undefined; readonly error: Error | null; readonly refetch: () => unknown };
  readonly children: (data: T) => ReactNode;
}

/** What the service has answered, that it is read, or why it could not be read. */
export function Loaded<T>({ of: { data, error, refetch }, children }: LoadedProps<T>) {
  return (
    <>
      <LoadFailure error={error} onRetry={refetch} />
      {data !== undefined ? children(data) : error === null && <p aria-live="polite">Loading …</p>}
    </>
  );
}
