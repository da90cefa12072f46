import { describe, expect, test } from 'vitest';
import {
  acceptReceived,
  finalize,
  recordRecheck,
  reject,
  rejectReceived,
  remove,
  renewLease,
  reserve,
  type StemGroup,
  withdrawUploads,
} from '../../src/dataset/upload-transitions.js';
import { datasetCountsOf } from '../harness/counts-of.js';
import {
  areInterrupted,
  type DatasetFile,
  MICROS_PER_SECOND,
  nextChangeOf,
  type PendingFile,
  presignedMarginOf,
  type ReceivedFile,
  type StoredFile,
  statusOf,
} from '../../src/dataset/dataset.js';
import { findingsOf } from '../../src/dataset/findings.js';
import { errorIn } from '../../src/dataset/problems.js';

const CLIP = 'clip.mp4';
const BYTES = {
  sizeBytes: 5,
  sha256: 'ab'.repeat(32),
  contentType: 'video/mp4',
  facts: { kind: 'video', format: 'mp4' },
  warnings: [],
  blobVersion: null,
} as const;
const PROBLEM = errorIn(CLIP, 'VIDEO_CORRUPT', 'clip.mp4 is broken. Upload an intact copy.');
const HOLDER = { token: 'me' };

const fileOf = <U extends DatasetFile['upload']>(id: string, createdAt: number, upload: U): DatasetFile<U> => ({
  id,
  datasetId: 'dataset',
  filename: CLIP,
  kind: 'video',
  createdAt,
  upload,
});

const storedAt = (finalizedAt: number): StoredFile['upload'] => ({ state: 'stored', ...BYTES, finalizedAt });
const stored = (id: string, at: number): StoredFile => fileOf(id, at, storedAt(at));
const rejectedAt = (finalizedAt: number) => ({ state: 'rejected', problem: PROBLEM, finalizedAt }) as const;

const received = (id: string, at: number): ReceivedFile =>
  fileOf(id, at, { state: 'received', ...BYTES, receivedAt: at });

const pending = (id: string, at: number, via: PendingFile['upload']['via'] = 'direct'): PendingFile => {
  const upload = { state: 'pending', via, expectedBytes: 5, expiresAt: 900 } as const;
  const isHeld = via !== 'link';
  return fileOf(id, at, { ...upload, leaseUntil: isHeld ? 900 : null, leaseToken: isHeld ? HOLDER.token : null });
};

const shapeOf = (group: StemGroup | undefined) => group?.map(({ id, upload }) => `${id} ${upload.state}`);
const holder = (id: string) => ({ id, ...HOLDER });
const statusAt = (group: StemGroup, now: number) => statusOf(datasetCountsOf(group, 1), now, { captionGrace: 0 });

describe('a file that is received and not checked completely', () => {
  const group = [received('new', 20)];

  test('keeps its dataset UPLOADING without an end, also if an older upload of the name has expired', () => {
    for (const others of [[], [pending('expired', 1, 'link')], [fileOf('old', 1, rejectedAt(1))]]) {
      const counts = datasetCountsOf([...others, ...group], 1);
      expect(statusOf(counts, Number.MAX_SAFE_INTEGER, { captionGrace: 0 })).toBe('UPLOADING');
      expect(nextChangeOf(counts, 5, { captionGrace: 0 })).toBeUndefined();
    }
    expect(findingsOf(group, 5)).toEqual({ errors: [], warnings: [] });
    // A crashed server's upload is no error before cleanup has removed it.
    const statusAfter = (seconds: number) => statusAt([pending('crashed', 1)], 900 + seconds * MICROS_PER_SECOND);
    expect([0, 60].map(statusAfter)).toEqual(['UPLOADING', 'FAILED']);
  });

  test('is made of a pending upload and leaves older files, but no unused link', () => {
    const used = pending('used', 2, 'presigned');
    const before = [stored('old', 1), pending('link', 2, 'link'), used, pending('other', 3), pending('new', 4)];
    const { finalizedAt: _, state: __, problem: ___, ...bytes } = storedAt(1);
    const upload = { state: 'received', ...bytes, receivedAt: 20 } as const;
    const after = finalize(before, holder('new'), upload);
    expect(shapeOf(after)).toEqual(['old stored', 'used pending', 'other pending', 'new received']);
    expect(finalize(before, { id: 'new', token: 'another' }, upload)).toBeUndefined();
    expect(finalize(before, holder('new'), { ...upload, receivedAt: 900 })).toBeUndefined();
    expect(renewLease(before, holder('new'), { now: 900, until: 999 })).toBeUndefined();
    const stays = ['used pending', 'other pending', 'new stored'];
    expect(shapeOf(finalize(before, holder('new'), storedAt(20)))).toEqual(stays);
  });

  test('through a link to the bucket stays with a newer link, and replaces no newer file', () => {
    const [old, newer] = [pending('old', 2, 'presigned'), pending('newer', 3, 'presigned')];
    expect(shapeOf(reserve([old], newer))).toEqual(['newer pending']);
    const both = reserve([old], newer, new Set(['old']));
    const unused = { ...newer, upload: { ...newer.upload, leaseUntil: null, leaseToken: null } };
    expect(shapeOf(finalize([old, unused], holder('old'), storedAt(20)))).toEqual(['old stored', 'newer pending']);
    const newerFirst = finalize(both, holder('newer'), storedAt(20))!;
    expect(shapeOf(newerFirst)).toEqual(['old pending', 'newer stored']);
    expect(shapeOf(finalize(newerFirst, holder('old'), storedAt(21)))).toEqual(['newer stored']);
  });

  test('keeps the warning that a newer upload to the bucket was rejected, which only the store has answered', () => {
    const before = [stored('old', 1), ...group, pending('newest', 25, 'presigned')];
    const rejected = reject(before, holder('newest'), rejectedAt(26))!;
    expect(shapeOf(rejected)).toEqual(['old stored', 'new received']);
    const after = acceptReceived(rejected, 'new', storedAt(30))!;
    expect(findingsOf(after, 31).warnings).toEqual([
      expect.objectContaining({ code: 'REPLACEMENT_REJECTED', message: expect.stringContaining(PROBLEM.message) }),
    ]);
    // The answer to an upload through the service has reported it.
    const direct = reject([stored('old', 1), pending('newest', 25)], holder('newest'), rejectedAt(26))!;
    expect(direct).toEqual([stored('old', 1)]);
  });

  test('is listed once if each upload of its name is rejected', () => {
    const before = [fileOf('first', 1, rejectedAt(2)), pending('second', 3)];
    expect(shapeOf(reject(before, holder('second'), rejectedAt(4)))).toEqual(['second rejected']);
  });

  test('leaves the stored file of its name if it is rejected, with a warning, since no answer reported it', () => {
    const after = rejectReceived([stored('old', 1), ...group], 'new', rejectedAt(30))!;
    expect(shapeOf(after)).toEqual(['old stored']);
    const [warning] = findingsOf(after, 31).warnings;
    expect(warning).toMatchObject({ code: 'REPLACEMENT_REJECTED', filename: CLIP });
    expect(warning?.message).toContain(PROBLEM.message);
    const again = rejectReceived([...after, received('third', 40)], 'third', rejectedAt(50))!;
    expect(findingsOf(again, 51).warnings).toHaveLength(1);
    expect(findingsOf(recordRecheck(again, 'old', { ok: true, ...BYTES }) ?? again, 60).warnings).toHaveLength(1);
  });

  test('is rejected at the end of its check if another file was stored that it was not to replace', () => {
    const conditional = received('new', 20);
    const only = [{ ...conditional, upload: { ...conditional.upload, condition: { ifNoneMatch: '*' } } }] as const;
    const late = acceptReceived([stored('other', 25), ...only], 'new', storedAt(30))!;
    expect(shapeOf(late)).toEqual(['other stored']);
    expect(findingsOf(late, 31).warnings[0]?.message).toContain('was changed by another upload');
    expect(shapeOf(acceptReceived(only, 'new', storedAt(30)))).toEqual(['new stored']);
  });

  test('is removed with the file and its links, but no upload in flight, nor one that a condition did not see', () => {
    const links = [pending('link', 21, 'link'), pending('bucket', 22, 'presigned')];
    const all = [stored('old', 1), ...group, ...links, pending('direct', 23)];
    expect(shapeOf(remove(all, CLIP))).toEqual(['direct pending']);
    const unseen = ['new received', 'bucket pending', 'direct pending'];
    expect(shapeOf(remove(all, CLIP, { ifMatch: '*' }))).toEqual(unseen);
    expect(shapeOf(withdrawUploads(all, CLIP))).toEqual(['old stored', 'direct pending']);
  });

  test('the order of upload decides, not the order in which the checks end', () => {
    const both = [received('first', 10), received('second', 20)];
    const secondFirst = acceptReceived(both, 'second', storedAt(30))!;
    expect(shapeOf(secondFirst)).toEqual(['second stored']);
    const firstFirst = acceptReceived(both, 'first', storedAt(30))!;
    expect(shapeOf(firstFirst)).toEqual(['first stored', 'second received']);
    const reserved = acceptReceived([...both, pending('link', 25, 'link')], 'second', storedAt(30));
    expect(shapeOf(reserved)).toEqual(['second stored', 'link pending']);
    expect(shapeOf(acceptReceived(firstFirst, 'second', storedAt(40)))).toEqual(['second stored']);
    const secondRejected = rejectReceived(both, 'second', rejectedAt(30))!;
    const accepted = acceptReceived(secondRejected, 'first', storedAt(40))!;
    expect(shapeOf(accepted)).toEqual(['first stored']);
    expect(findingsOf(accepted, 50).warnings.map(({ code }) => code)).toEqual(['REPLACEMENT_REJECTED']);
  });
});

const NOW = 1_000_000 * MICROS_PER_SECOND;
const ago = (seconds: number) => NOW - seconds * MICROS_PER_SECOND;

test('a presigned upload of 4 GB that begins as its link expires has two hours, and a caption a minute', () => {
  expect([0, 4e9].map((bytes) => presignedMarginOf(bytes) / MICROS_PER_SECOND)).toEqual([60, 8060]);
});

test('pending uploads are interrupted if nothing has happened for half a minute, and the bytes of none are received', () => {
  const link = pending('unused', 1, 'link');
  const leased = (leaseUntil: number) => ({ ...link, upload: { ...link.upload, leaseUntil } });
  expect([29, 30].map((seconds) => areInterrupted([link], ago(seconds), NOW))).toEqual([false, true]);
  expect(areInterrupted([], ago(30), NOW)).toBe(false);
  expect(areInterrupted([link, leased(NOW)], ago(3000), NOW)).toBe(true);
  // The bytes of an upload to a bucket are not seen.
  for (const other of [leased(NOW + 1), pending('direct', 1), pending('bucket', 1, 'presigned')]) {
    expect(areInterrupted([link, other], ago(3000), NOW)).toBe(false);
  }
});
