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

/** Tries random cases. @param name the option of `npm run fuzz` for their number @returns the failing case, and how to repeat it */
export async function failureOf<T>(
  cases: fc.Arbitrary<T>,
  { count, seed, ...run }: Run,
  name: string,
  tryOne: (found: T) => Promise<void>,
): Promise<string | undefined> {
  const found = await fc.check(fc.asyncProperty(cases, tryOne), { seed, numRuns: count, ...run });
  if (!found.failed) return undefined;
  return [
    found.errorInstance instanceof Error ? found.errorInstance.message : String(found.errorInstance),
    `  ${JSON.stringify(found.counterexample?.[0]).slice(0, 2000)}`,
    `  npm run fuzz -- --${name} ${count} --seed ${found.seed} --path ${found.counterexamplePath}`,
  ].join('\n');
}

export function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
}
