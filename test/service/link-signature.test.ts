import { expect, test } from 'vitest';
import { ReadLinks } from '../../src/service/download/read-links.js';
import { UploadLinks } from '../../src/service/upload/upload-links.js';

const KEY = Buffer.alloc(32, 7);

test('links signed by earlier versions still verify', () => {
  const read = { account: 'acc', id: 'ds', expires: '7200000000' };
  expect(
    new ReadLinks(KEY).verify({ ...read, signature: 'm014BGqH8KCD6AI0zZYY9PYzidLjkqOTrTdBRVLSNzk' }, 7_199_999_999),
  ).toBe('acc');
  const upload = { id: 'f1', size: '5', expires: '9000000000' };
  expect(
    new UploadLinks(KEY).verify({ ...upload, signature: 'piZ-mxo0ueTGsz1m_TqnB8auoT1O5da8Gn2OllzHpcI' }, 0),
  ).toEqual({ fileId: 'f1', sizeBytes: 5, expiresAt: 9_000_000_000 });
});
