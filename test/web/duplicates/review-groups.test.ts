import { describe, expect, test } from 'vitest';
import type { DatasetFile, DuplicateGroup } from '../../../src/client/client.js';
import { mediaTypeOf } from '../../../src/dataset/media.js';
import {
  type Decision,
  exactCopiesIn,
  planRemoval,
  reviewGroupsOf,
  suggestedRemovals,
} from '../../../web/duplicates/review-groups.js';
import { type Pair, pairsOf } from '../../../web/live/pairs.js';

/** Files by name, each with what stands for its bytes. */
type Files = Record<string, string>;

function fileOf([filename, bytes]: [string, string]): DatasetFile {
  const kind = mediaTypeOf(filename)!.kind;
  return { filename, sha256: bytes, etag: `"${bytes}"`, size_bytes: bytes.length, kind } as DatasetFile;
}

function pairsByFile(files: Files): Map<string, Pair> {
  const pairs = pairsOf({ files: Object.entries(files).map(fileOf), warnings: [] } as never);
  return new Map(pairs.flatMap((pair) => pair.media.map(({ filename }) => [filename, pair] as const)));
}

type Members = Record<string, DuplicateGroup['members'][number]['kind']>;

function groupOf(files: Files, keeper: string, members: Members) {
  const wire = Object.entries(members).map(([filename, kind]) => {
    return { filename, kind, distance: 0, pixels: 0, size_bytes: (files[filename] ?? '').length };
  });
  return reviewGroupsOf([{ keeper, reason: 'pixels', members: wire }], pairsByFile(files));
}

/** What goes, which caption moves to which stem, and how many captions differ. */
function effectOf(files: Files, keeper: string, members: Members, decision?: Partial<Decision>) {
  const [group] = groupOf(files, keeper, members);
  const plan = planRemoval(group!, { removed: suggestedRemovals(group!), ...decision });
  return (
    plan && {
      files: plan.files.map(({ filename }) => filename),
      move: plan.move && `${plan.move.from.filename} to ${plan.move.to.stem}`,
      captions: plan.captions.map(({ stem }) => stem),
    }
  );
}

describe('a decision about duplicates', () => {
  const two = { 'a.jpg': 'A', 'b.jpg': 'B' };

  test('removes exact and similar pictures with their captions, and no mirrored one', () => {
    const files = { ...two, 'c.jpg': 'A', 'd.jpg': 'D', 'b.txt': 'b', 'a.txt': 'b' };
    const effect = effectOf(files, 'a.jpg', { 'c.jpg': 'exact', 'b.jpg': 'alike', 'd.jpg': 'mirrored' });
    expect(effect).toEqual({ files: ['c.jpg', 'b.jpg', 'b.txt'], move: undefined, captions: ['a'] });
  });

  test('moves the caption of a removed picture to a kept one without', () => {
    const members = { 'b.jpg': 'alike' } as const;
    const moved = { files: ['b.jpg', 'b.txt'], move: 'b.txt to a', captions: ['b'] };
    expect(effectOf({ ...two, 'b.txt': 'b' }, 'a.jpg', members)).toEqual(moved);
  });

  test('keeps the caption of the kept picture where they differ, or the one that is chosen', () => {
    const files = { ...two, 'a.txt': 'a', 'b.txt': 'b' };
    const members = { 'b.jpg': 'alike' } as const;
    expect(effectOf(files, 'a.jpg', members)).toMatchObject({ move: undefined, captions: ['a', 'b'] });
    expect(effectOf(files, 'a.jpg', members, { captionOf: 'b' })).toMatchObject({ move: 'b.txt to a' });
  });

  test('leaves a caption that a kept picture shares', () => {
    const files = { 'a.png': 'A', 'a.jpg': 'B', 'a.txt': 'a' };
    expect(effectOf(files, 'a.png', { 'a.jpg': 'alike' })).toMatchObject({ files: ['a.jpg'], move: undefined });
  });

  test('keeps at least one picture', () => {
    expect(effectOf(two, 'a.jpg', { 'b.jpg': 'alike' }, { removed: new Set(['a.jpg', 'b.jpg']) })).toBeUndefined();
  });
});

test('files that are gone or were replaced since they were compared are in no group', () => {
  const files = { 'a.jpg': 'A', 'b.jpg': 'B' };
  const member = { kind: 'alike', distance: 0, pixels: 0 } as const;
  const group = (keeper: string, filename: string, size_bytes: number): DuplicateGroup => {
    return { keeper, reason: 'age', members: [{ ...member, filename, size_bytes }] };
  };
  const groups = [group('a.jpg', 'b.jpg', 2), group('a.jpg', 'x.jpg', 1), group('x.jpg', 'b.jpg', 1)];
  expect(reviewGroupsOf(groups, pairsByFile(files))).toEqual([]);
});

test('one of each group of exact copies is kept, except where their captions differ', () => {
  const files = { 'a.jpg': 'A', 'b.jpg': 'A', 'c.jpg': 'C', 'd.jpg': 'C', 'b.txt': 'b' };
  // Copies of one another may be alike to the keeper.
  const groups = groupOf(files, 'a.jpg', { 'b.jpg': 'exact', 'c.jpg': 'alike', 'd.jpg': 'alike' });
  const { plans, undecided } = exactCopiesIn(groups);
  expect(plans.flatMap((plan) => plan.files.map(({ filename }) => filename))).toEqual(['b.jpg', 'b.txt', 'd.jpg']);
  expect(plans.map(({ move }) => move?.to.stem)).toEqual(['a', undefined]);
  expect(undecided).toBe(0);
  const differing = groupOf({ ...files, 'a.txt': 'a' }, 'a.jpg', { 'b.jpg': 'exact' });
  expect(exactCopiesIn(differing)).toEqual({ plans: [], undecided: 1 });
});
