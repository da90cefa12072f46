const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const DATE = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', year: 'numeric' });
const DATE_AND_TIME = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' });

/** Parses a time of the API: UTC without a zone, in microseconds, of which a `Date` keeps milliseconds. */
export function dateOf(time: string): Date {
  return new Date(`${time.slice(0, '2025-07-22T13:05:16.143'.length)}Z`);
}

/** `just now`, `5 min ago`, `3 h ago`, `yesterday`, `2 days ago`; the date after two weeks. */
export function agoOf(date: Date, now: number): string {
  const seconds = (now - date.getTime()) / 1000;
  if (seconds < MINUTE) return 'just now';
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  const days = Math.floor(seconds / DAY);
  if (days < 14) return days === 1 ? 'yesterday' : `${days} days ago`;
  return DATE.format(date);
}

/** The date and time to the minute, in the user's time zone. */
export function momentOf(date: Date): string {
  return DATE_AND_TIME.format(date);
}
