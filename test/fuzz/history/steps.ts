import fc from 'fast-check';
import { kind } from '../steps.js';

/** A text that no other step sends, or one of two that several steps send. */
export type Text = 'new' | 'red' | 'blue';

/** A request of a client that sends no conditions, such as curl. */
export type PlainWrite =
  | { readonly do: 'upload'; readonly filename: string; readonly text: Text }
  | { readonly do: 'delete'; readonly filename: string };

/** The side whose version wins, and whether removals are copied: `--ours`, `--theirs` and `--replace`. */
interface SyncOptions {
  readonly folder: number;
  readonly winner: 'ours' | 'theirs' | null;
  readonly replace: boolean;
}

/** One step of a sequence. `revision` counts the revisions, from the newest, and begins again after the oldest. */
export type Step =
  | PlainWrite
  /** The page reads the dataset. */
  | { readonly do: 'look' }
  /** The page saves a caption. */
  | { readonly do: 'edit'; readonly filename: string; readonly text: Text }
  /** The page saves many captions in two requests, perhaps with a request of another client between them. */
  | { readonly do: 'bulk'; readonly filenames: readonly string[]; readonly between: PlainWrite | null }
  /** A person writes or removes a file of a folder. */
  | { readonly do: 'write'; readonly folder: number; readonly filename: string; readonly text: Text }
  | { readonly do: 'erase'; readonly folder: number; readonly filename: string }
  | ({ readonly do: 'push' | 'pull' } & SyncOptions)
  | { readonly do: 'restore' | 'undo'; readonly revision: number }
  /** The server is killed, and started. */
  | { readonly do: 'restart' }
  /** The server is killed during a bulk change, an upload and a restore. */
  | { readonly do: 'crash'; readonly afterMs: number; readonly revision: number };

export const CAPTIONS = ['a.txt', 'b.txt', 'c.txt', 'd.txt'];
const NAMES = [...CAPTIONS, 'a.jpg', 'b.jpg'];

const filename = fc.constantFrom(...NAMES);
const caption = fc.constantFrom(...CAPTIONS);
const text = fc.constantFrom<Text>('new', 'new', 'red', 'blue');
const revision = fc.nat(12);
const folder = fc.nat(1);

const plainWrite: fc.Arbitrary<PlainWrite> = fc.oneof(
  kind(4, 'upload', { filename, text }),
  kind(2, 'delete', { filename }),
);

const winner = fc.constantFrom(null, null, null, 'ours' as const, 'theirs' as const);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: plainWrite },
  kind(3, 'look', {}),
  kind(6, 'edit', { filename: caption, text }),
  kind(4, 'bulk', { filenames: fc.uniqueArray(caption, { minLength: 2 }), between: fc.option(plainWrite) }),
  kind(4, 'write', { folder, filename, text }),
  kind(2, 'erase', { folder, filename }),
  kind(4, ['push', 'pull'], { folder, winner, replace: fc.boolean() }),
  kind(6, ['restore', 'undo', 'undo'], { revision }),
  kind(1, 'restart', {}),
  kind(1, 'crash', { afterMs: fc.nat(40), revision }),
);

export const sequenceOfSteps: fc.Arbitrary<Step[]> = fc.array(step, { maxLength: 40, size: 'max' });
