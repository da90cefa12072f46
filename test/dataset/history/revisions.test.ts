import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Author, StoredFile } from '../../../src/dataset/dataset.js';
import { laptop } from '../../harness/author.js';
import { historyAfter, revisionsTogether } from '../../../src/dataset/history/revisions.js';

const MINUTE = 60_000_000;

let ids = 0;

function stored(filename: string, sha256: string, addedIn = 1): StoredFile {
  const facts = { kind: 'caption', bytes: 1 } as unknown as StoredFile['upload']['facts'];
  const bytes = { sizeBytes: 1, sha256, contentType: 'text/plain', facts, warnings: [], blobVersion: null };
  const upload = { state: 'stored', ...bytes, finalizedAt: 1, addedIn } as const;
  return { id: `file-${++ids}`, datasetId: 'd', filename, kind: 'caption', createdAt: 1, upload };
}

describe('the revision of a change', () => {
  const begun = (author: Author, now = 0) => historyAfter({ latest: 4, open: null }, { author, past: [], now });

  test('is the open one for ten minutes from its start, for changes of the same token and kind', () => {
    const history = begun(laptop);
    const latestAfter = (author: Author, now: number) => historyAfter(history, { author, past: [], now }).latest;
    expect(latestAfter(laptop, 10 * MINUTE - 1)).toBe(5);
    expect(latestAfter(laptop, 10 * MINUTE)).toBe(6);
    expect(latestAfter({ ...laptop, tokenId: 'b2' }, 1)).toBe(6);
    expect(latestAfter({ ...laptop, how: 'delete' }, 1)).toBe(6);
    expect(latestAfter({ ...laptop, changeId: 'push-1' }, 1)).toBe(6);
  });

  test('is the open one without a limit of time if the client names the change', () => {
    const push: Author = { ...laptop, how: 'push', changeId: '3f2a' };
    const history = begun(push);
    expect(historyAfter(history, { author: push, past: [], now: 1000 * MINUTE }).latest).toBe(5);
    const other = { ...push, changeId: '3f2b' };
    expect(historyAfter(history, { author: other, past: [], now: 1 }).latest).toBe(6);
    expect(historyAfter(history, { author: { ...push, tokenId: 'b2' }, past: [], now: 1 }).latest).toBe(6);
  });

  test('is the next one if the change replaces or removes a file of the open one', () => {
    const history = begun(laptop);
    const latestAfter = (past: StoredFile[]) => historyAfter(history, { author: laptop, past, now: 1 });
    expect(latestAfter([stored('a.txt', '1', 4)]).latest).toBe(5);
    expect(latestAfter([stored('a.txt', '1', 4), stored('b.txt', '1', 5)])).toMatchObject({
      latest: 6,
      open: { startedAt: 1 },
    });
  });

  test('is one of its own for a restore', () => {
    const restore: Author = { ...laptop, how: 'restore' };
    const history = begun(restore);
    expect(history).toEqual({ latest: 5, open: null });
    expect(historyAfter(history, { author: restore, past: [], now: 1 }).latest).toBe(6);
  });
});

test('revisions of several datasets that were the latest at one time are found, newest first, each set once', () => {
  const anyHistory = fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 6 }).map((steps) => {
    let at = 0;
    return steps
      .map(([gap, length], i) => {
        const startedAt = at + gap + 1;
        at = startedAt + length;
        return { number: i + 1, startedAt, changedAt: at };
      })
      .reverse();
  });
  fc.assert(
    fc.property(anyHistory, anyHistory, anyHistory, (...histories) => {
      const expected = new Set<string>();
      for (let at = 0; at < 100; at++) {
        const current = histories.map((history) => history.find(({ startedAt }) => startedAt <= at));
        const isKept = current.every((each) => each !== undefined && each.changedAt <= at);
        if (isKept) expected.add(current.map((each) => each?.number).join());
      }
      const found = [...revisionsTogether(histories)].map((latest) => latest.map(({ number }) => number).join());
      expect(found).toEqual([...expected].reverse());
    }),
  );
});
