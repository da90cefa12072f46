import { InvalidArgumentError } from 'commander';

const SECONDS_PER_UNIT: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Parses `30d` into seconds. @throws InvalidArgumentError */
export function secondsIn(text: string, { maxDays }: { maxDays: number }): number {
  const [, count, unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const seconds = Number(count) * (SECONDS_PER_UNIT[unit] ?? Number.NaN);
  if (!(seconds > 0 && seconds <= maxDays * 86_400)) {
    throw new InvalidArgumentError(`Write a number and a unit, such as 7d, 12h or 90m, up to ${maxDays}d.`);
  }
  return seconds;
}
