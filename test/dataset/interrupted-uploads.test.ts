import { describe, expect, test } from 'vitest';
import { areInterrupted, MICROS_PER_SECOND, type PendingFile } from '../../src/dataset/dataset.js';

const NOW = 1_000_000 * MICROS_PER_SECOND;
const ago = (seconds: number) => NOW - seconds * MICROS_PER_SECOND;

function pending(upload: Partial<PendingFile['upload']> = {}): PendingFile {
  const expiresAt = NOW + 3600 * MICROS_PER_SECOND;
  const unused = { via: 'link', expectedBytes: 1_000_000, expiresAt, leaseUntil: null, leaseToken: null } as const;
  const common = { id: '1', datasetId: '1', filename: 'a.jpg', kind: 'image', createdAt: 0 } as const;
  return { ...common, upload: { state: 'pending', ...unused, ...upload } };
}

describe('pending uploads', () => {
  test('are interrupted if nothing has happened for half a minute', () => {
    expect(areInterrupted([pending()], ago(29), NOW)).toBe(false);
    expect(areInterrupted([pending()], ago(30), NOW)).toBe(true);
    expect(areInterrupted([], ago(30), NOW)).toBe(false);
  });

  test('are not, as long as the bytes of one are received', () => {
    const received = pending({ leaseUntil: NOW + 1, leaseToken: 'holder' });
    expect(areInterrupted([pending(), received], ago(3000), NOW)).toBe(false);
    expect(areInterrupted([pending(), pending({ leaseUntil: NOW })], ago(3000), NOW)).toBe(true);
    expect(areInterrupted([pending(), pending({ via: 'direct' })], ago(3000), NOW)).toBe(false);
  });

  test('to a bucket are not seen on their way', () => {
    expect(areInterrupted([pending(), pending({ via: 'presigned' })], ago(3000), NOW)).toBe(false);
  });
});
