import type { Answer, Api } from '../../harness/api.js';
import { contentOf } from '../contents.js';

/** One change, and how to tell whether it was made. */
export interface Attempt {
  readonly act: () => Promise<Answer<unknown>>;
  /** Reads the state that it changes; where the change was acknowledged, `answer` is the body, and what it names must work. */
  readonly read: (api: Api, answer?: unknown) => Promise<unknown>;
  /** What `read` returns once the change is made. */
  readonly after: unknown;
  /** `read` and `after` are objects; each field is as before or as after. */
  readonly isPerFile?: boolean;
}

/** A kind of change. */
export interface Change {
  /** The operations of the OpenAPI document that it proves. */
  readonly operations: readonly string[];
  /** Prepares, and returns the changes of one round, which have no object in common and are made at once. */
  readonly prepare: (api: Api) => Promise<(api: Api, round: number) => Promise<Attempt[]>>;
}

/** Changes of a round. */
export const AT_ONCE = 6;

interface Turn {
  readonly api: Api;
  readonly round: number;
  readonly i: number;
}

/** A change that several clients make at once. */
export function each(operations: readonly string[], make: (turn: Turn) => Promise<Attempt>): Change {
  return { operations, prepare: async () => (api, round) => several((i) => make({ api, round, i })) };
}

/** The same, of something that is prepared once, before the first round. */
export function eachOf<T>(
  operations: readonly string[],
  prepare: (api: Api, i: number) => Promise<T>,
  make: (thing: T, turn: Turn) => Promise<Attempt>,
): Change {
  return {
    operations,
    prepare: async (first) => {
      const things = await several((i) => prepare(first, i));
      return (api, round) => several((i) => make(things[i]!, { api, round, i }));
    },
  };
}

/** One change in each round. */
export function alone(operations: readonly string[], make: (api: Api, round: number) => Promise<Attempt>): Change {
  return { operations, prepare: async () => async (api, round) => [await make(api, round)] };
}

export const range = (count: number) => Array.from({ length: count }, (_, i) => i);
export const several = <T>(make: (i: number) => Promise<T>): Promise<T[]> => Promise.all(range(AT_ONCE).map(make));

/** The body of an answer of 200. */
export function must<T>({ status, body }: Answer<T>): Answer<T>['body'] {
  if (status !== 200) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** Uploads files of these names to a new dataset. */
export async function datasetWith(api: Api, filenames: readonly string[]): Promise<string> {
  const id = await api.newDataset();
  for (const filename of filenames) must(await api.upload(id, filename, contentOf(filename, `before ${filename}`)));
  return id;
}
