import { InvalidArgumentError, Option } from 'commander';
import { ROLES } from '../dataset/pairs/roles.js';
import { nearestName } from '../nearest-name.js';
import { wholeNumber } from '../setting-values.js';

export function roleOption(help: string): Option {
  return new Option('--role <role>', help).argParser(parseRole);
}

/** Parses one of these words in any case. @param what they are, in the plural */
export function oneOfWords<Word extends string>(what: string, words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((each) => each.toLowerCase() === text.toLowerCase());
    if (word !== undefined) return word;
    const lowerCase = words.map((each) => each.toLowerCase());
    const near = nearestName(text.toLowerCase(), lowerCase, 3);
    const hint = near === undefined ? '' : ` Did you mean ${words[lowerCase.indexOf(near)]}?`;
    throw new InvalidArgumentError(`The ${what} are ${words.join(', ')}.${hint}`);
  };
}

export const parseRole = oneOfWords('roles', ROLES);

/** @throws InvalidArgumentError */
export function notBlank(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be blank.');
  return text.trim();
}

/** The option `--concurrency`, the number of files that a command transfers at a time. */
export function concurrencyOption(help: string): Option {
  return new Option('--concurrency <number>', help).argParser(numberIn({ min: 1, max: 64 }));
}

export function numberIn(range: { min: number; max: number }): (text: string) => number {
  const parse = wholeNumber(range);
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(`It ${(error as Error).message}.`);
    }
  };
}

export const revisionArgument = numberIn({ min: 1, max: Number.MAX_SAFE_INTEGER });

const SECONDS_PER_UNIT: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** @throws InvalidArgumentError */
export function secondsIn(text: string, { maxDays }: { maxDays: number }): number {
  const [, count, unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const seconds = Number(count) * (SECONDS_PER_UNIT[unit] ?? Number.NaN);
  if (!(seconds > 0 && seconds <= maxDays * 86_400)) {
    throw new InvalidArgumentError(`Write a number and a unit, such as 7d, 12h or 90m, up to ${maxDays}d.`);
  }
  return seconds;
}

/** Collects the values of an option that may be given several times. */
export function collect<T>(value: T, earlier: readonly T[] = []): readonly T[] {
  return [...earlier, value];
}
