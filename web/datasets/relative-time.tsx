import { useSyncExternalStore } from 'react';
import { agoOf, dateOf, momentOf } from '../ui/ago.js';

const EVERY_MS = 30_000;

/** How long ago something was, kept true while it is looked at. */
export function RelativeTime({ time }: { time: string }) {
  const now = useSyncExternalStore(subscribe, nowish);
  const date = dateOf(time);
  return (
    <time dateTime={date.toISOString()} title={momentOf(date)}>
      {agoOf(date, now)}
    </time>
  );
}

let now = Date.now();

function nowish(): number {
  // Within one drawing of the page, everybody is told the same; a change that has just come is not in the future.
  if (Date.now() - now > EVERY_MS) now = Date.now();
  return now;
}

function subscribe(listener: () => void): () => void {
  const timer = setInterval(listener, EVERY_MS);
  return () => clearInterval(timer);
}
