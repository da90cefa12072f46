import { useSyncExternalStore } from 'react';
import { agoOf, dateOf, momentOf } from '../ui/ago.js';

const UPDATE_EVERY_MS = 30_000;

/** A time relative to now, such as `5 min ago`, updated while it is shown. */
export function RelativeTime({ time }: { time: string }) {
  const now = useSyncExternalStore(subscribe, approximateNow);
  const date = dateOf(time);
  return (
    <time dateTime={date.toISOString()} title={momentOf(date)}>
      {agoOf(date, now)}
    </time>
  );
}

let now = Date.now();

/** The current time, up to 30 s late. React requires the same value throughout a render. */
function approximateNow(): number {
  if (Date.now() - now > UPDATE_EVERY_MS) now = Date.now();
  return now;
}

function subscribe(listener: () => void): () => void {
  const timer = setInterval(listener, UPDATE_EVERY_MS);
  return () => clearInterval(timer);
}
