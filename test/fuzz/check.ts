import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';

/** How many cases are run, and which. */
export interface Run {
  readonly seed: number;
  readonly count: number;
  /** Of the failing case, as fast-check prints it: only this case is run. */
  readonly path?: string;
  /** Without it, the shortest case that fails is looked for. */
  readonly endOnFailure?: boolean;
}

/**
 * Tries random cases.
 *
 * @param names the options of `npm run fuzz` for the count and for one case
 * @returns the failing case with its reproduction; `undefined` if there was none
 */
export async function failureOf<T>(
  cases: fc.Arbitrary<T>,
  { count, seed, ...run }: Run,
  { names: [counted, one], textOf = JSON.stringify }: { names: [string, string]; textOf?: (found: T) => string },
  tryOne: (found: T) => Promise<void>,
): Promise<string | undefined> {
  const found = await fc.check(fc.asyncProperty(cases, tryOne), { seed, numRuns: count, ...run });
  if (!found.failed) return undefined;
  const text = found.counterexample && textOf(found.counterexample[0]).replaceAll("'", String.raw`'\''`);
  return [
    found.errorInstance instanceof Error ? found.errorInstance.message : String(found.errorInstance),
    `  npm run fuzz -- --${counted} ${count} --seed ${found.seed} --path ${found.counterexamplePath}`,
    `  npm run fuzz -- --${one} '${text}'`,
  ].join('\n');
}

export function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
}
