import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MICROS_PER_SECOND } from '../../src/dataset/dataset.js';
import { ReadLinks, UploadLinks } from '../../src/service/signed-links.js';

const HOUR = 3600 * MICROS_PER_SECOND;
const KEY = Buffer.alloc(32, 7);
const links = new ReadLinks(KEY);

function partsOf(query: string, id: string) {
  const { account = '', expires = '', signature = '' } = Object.fromEntries(new URLSearchParams(query));
  return { account, id, expires, signature };
}

test('a link is valid for one to two hours, is the same within an hour, and then has expired', () => {
  const moment = fc.integer({ min: 0, max: 4e15 });
  fc.assert(
    fc.property(moment, fc.string(), fc.string(), (now, accountId, id) => {
      const { query, expiresAt } = links.linkFor({ accountId, id }, { now });
      expect(expiresAt - now).toBeGreaterThan(HOUR);
      expect(expiresAt - now).toBeLessThanOrEqual(2 * HOUR);
      const hour = now - (now % HOUR);
      for (const other of [hour, hour + HOUR - 1]) {
        expect(links.linkFor({ accountId, id }, { now: other }).query).toBe(query);
      }
      const link = partsOf(query, id);
      expect(links.verify(link, expiresAt - 1)).toBe(accountId);
      expect(() => links.verify(link, expiresAt)).toThrow(expect.objectContaining({ code: 'link_expired' }));
      expect(() => links.verify({ ...link, expires: `${expiresAt + 1}` }, now)).toThrow(
        expect.objectContaining({ code: 'link_invalid' }),
      );
    }),
  );
});

test('a link of another key and the signature of an upload link are rejected', () => {
  const key = { accountId: 'a', id: 'd' };
  const { query } = new ReadLinks(Buffer.alloc(32, 8)).linkFor(key, { now: 0 });
  expect(() => links.verify(partsOf(query, 'd'), 0)).toThrow('not valid');
  const mine = links.linkFor(key, { now: 0 });
  const upload = { id: 'a', size: 'd', expires: String(mine.expiresAt), signature: partsOf(mine.query, 'd').signature };
  expect(() => new UploadLinks(KEY).verify(upload, 0)).toThrow('not valid');
});
