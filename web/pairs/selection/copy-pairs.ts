import type { Dataset, DatasetFile, PushFile } from '../../../src/client/client.js';
import { stemOf } from '../../../src/dataset/media.js';
import { groupedBy } from '../../grouped-by.js';
import type { Pair } from '../../live/pairs.js';
import { type Connect, newChangeId } from '../../session/client.js';
import { foldCase, messageOf } from '../../ui/format.js';
import { recordChange } from '../../undo/recent-change.js';

interface CopyOptions {
  readonly connect: Connect;
  readonly from: Pick<Dataset, 'id' | 'name'>;
  readonly to: Pick<Dataset, 'id'>;
  readonly signal: AbortSignal;
  readonly onProgress: (finishedFiles: number) => void;
}

export interface CopyOutcome {
  /** The files of these pairs are all in the other dataset. */
  readonly arrived: readonly Pair[];
  /** Pairs that got another name, since theirs was taken. */
  readonly renamed: number;
  readonly failures: readonly { readonly filename: string; readonly reason: string }[];
}

/**
 * Copies pairs to another dataset, whose files all stay: a pair whose name is taken there is put beside it, with the name of its
 * dataset in front. What is there already is not sent. One revision of the other dataset, which can be undone there.
 *
 * @throws TrainyardError, TypeError without an answer, the signal's reason
 */
export async function copyPairs(pairs: readonly Pair[], options: CopyOptions): Promise<CopyOutcome> {
  const { connect, from, to, signal, onProgress } = options;
  const changeId = newChangeId();
  const client = connect({ how: 'bulk', id: changeId });
  const names = namesThere(pairs, (await client.status(to.id, { signal })).files, from.name);
  const files = new Map(pairs.flatMap((pair) => pair.files.map((file) => [nameOf(file, names.get(pair)!), file])));
  const pushed = [...files].map(
    ([name, { filename, size_bytes: size, sha256 }]): PushFile => ({
      ...{ name, size, sha256: async () => sha256 },
      open: async () => (await client.file(from.id, filename, { signal })).blob(),
    }),
  );
  const ifMatch = Object.fromEntries(pushed.map(({ name }) => [name, null]));
  const listeners = { onProgress: (progress: { finishedFiles: number }) => onProgress(progress.finishedFiles) };
  const { stored, failed } = await client.push(to, pushed, { ifMatch, signal, ...listeners });
  if (stored.length > 0) recordChange(to.id, { text: `Copied from ${from.name}.`, made: { changeId } });
  const missing = new Set(failed.map(({ name }) => files.get(name)));
  return {
    arrived: pairs.filter((pair) => !pair.files.some((file) => missing.has(file))),
    renamed: pairs.filter((pair) => names.get(pair) !== pair.stem).length,
    failures: failed.map(({ name, error }) => ({ filename: files.get(name)!.filename, reason: messageOf(error) })),
  };
}

function nameOf({ filename }: DatasetFile, stem: string): string {
  return stem + filename.slice(stemOf(filename).length);
}

/** The stems that pairs get in a dataset with these files. */
function namesThere(
  pairs: readonly Pair[],
  existing: readonly DatasetFile[],
  source: string,
): ReadonlyMap<Pair, string> {
  const there = groupedBy(existing, ({ filename }) => foldCase(stemOf(filename)));
  const taken = new Set(there.keys());
  const prefix = source.replace(/[^\p{L}\p{N}._-]+/gu, '_');
  return new Map(
    pairs.map((pair) => {
      const others = there.get(foldCase(pair.stem)) ?? [];
      const isOurs = ({ filename, sha256 }: DatasetFile) =>
        pair.files.some((file) => file.filename === filename && file.sha256 === sha256);
      if (others.every(isOurs)) return [pair, pair.stem];
      const base = `${prefix}_${pair.stem}`;
      let stem = base;
      for (let number = 2; taken.has(foldCase(stem)); number++) stem = `${base}_${number}`;
      taken.add(foldCase(stem));
      return [pair, stem];
    }),
  );
}
