import fc from 'fast-check';

/** A text that no other step sends, or one of two that several steps send. */
export type Text = 'new' | 'red' | 'blue';

/** A request of a client that sends no conditions, such as curl. */
export type PlainWrite =
  | { readonly do: 'upload' | 'link'; readonly filename: string; readonly text: Text }
  | { readonly do: 'delete'; readonly filename: string };

/** The side whose version wins, and whether removals are copied: `--ours`, `--theirs` and `--replace`. */
interface SyncOptions {
  readonly folder: number;
  readonly winner: 'ours' | 'theirs' | null;
  readonly replace: boolean;
}

/** One step of a sequence. `revision` counts the kept revisions, from the newest, and begins again after the oldest. */
export type Step =
  | PlainWrite
  /** The page reads the dataset. */
  | { readonly do: 'look' }
  /** The page saves a caption. */
  | { readonly do: 'edit'; readonly filename: string; readonly text: Text }
  /** The page saves many captions in two requests, perhaps with a request of another client between them. */
  | { readonly do: 'bulk'; readonly filenames: readonly string[]; readonly between: PlainWrite | null }
  /** The page removes files. */
  | { readonly do: 'discard'; readonly filenames: readonly string[] }
  /** A person writes or removes a file of a folder. */
  | { readonly do: 'write'; readonly folder: number; readonly filename: string; readonly text: Text }
  | { readonly do: 'erase'; readonly folder: number; readonly filename: string }
  | ({ readonly do: 'push' | 'pull' } & SyncOptions)
  | { readonly do: 'restore' | 'undo' | 'pin' | 'unpin'; readonly revision: number }
  /** The server is killed, and started with rules that keep all revisions, or the latest alone. */
  | { readonly do: 'restart'; readonly keeps: 'all' | 'latest' }
  /** Several clients write one caption at once. */
  | { readonly do: 'race'; readonly filename: string; readonly writers: readonly Writer[] }
  /** The server is killed during a bulk change, an upload and a restore. */
  | { readonly do: 'crash'; readonly afterMs: number; readonly revision: number };

export type Writer = 'edit' | 'upload' | 'link' | 'delete';

export const CAPTIONS = ['a.txt', 'b.txt', 'c.txt', 'd.txt'];
const NAMES = [...CAPTIONS, 'a.jpg', 'b.jpg'];

const filename = fc.constantFrom(...NAMES);
const caption = fc.constantFrom(...CAPTIONS);
const text = fc.constantFrom<Text>('new', 'new', 'red', 'blue');
const revision = fc.nat(12);
const folder = fc.nat(1);

const plainWrite: fc.Arbitrary<PlainWrite> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('upload' as const), filename, text }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('link' as const), filename, text }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), filename }) },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: plainWrite },
  { weight: 3, arbitrary: fc.constant({ do: 'look' as const }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('edit' as const), filename: caption, text }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('bulk' as const),
      filenames: fc.uniqueArray(caption, { minLength: 2 }),
      between: fc.option(plainWrite),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('discard' as const),
      filenames: fc.uniqueArray(filename, { minLength: 1 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('write' as const), folder, filename, text }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('erase' as const), folder, filename }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('push' as const, 'pull' as const),
      folder,
      winner: fc.constantFrom(null, null, null, 'ours' as const, 'theirs' as const),
      replace: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('restore' as const, 'undo' as const, 'undo' as const, 'pin' as const, 'unpin' as const),
      revision,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('race' as const),
      filename: caption,
      writers: fc.array(fc.constantFrom<Writer>('edit', 'edit', 'edit', 'upload', 'link', 'delete'), {
        minLength: 2,
        maxLength: 4,
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('restart' as const), keeps: fc.constantFrom('all', 'latest') }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), afterMs: fc.nat(40), revision }) },
);

export const sequenceOfSteps: fc.Arbitrary<Step[]> = fc.array(step, { maxLength: 40, size: 'max' });
