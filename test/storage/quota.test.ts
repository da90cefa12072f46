import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Quota } from '../../src/storage/limits.js';

const errorOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
};

test('an account gets no more than its limit, and others still get theirs', () => {
  const quota = new Quota({ ofAccount: 2, ofAll: 3, what: 'downloads in flight', retryAfterSeconds: 7 });
  const releases = [quota.hold('a'), quota.hold('a')];
  expect(errorOf(() => quota.hold('a'))).toMatchObject({
    code: 'too_many_requests',
    retryAfterSeconds: 7,
    message: 'An account has at most 2 downloads in flight. Wait until others end, then try again.',
  });
  releases.push(quota.hold('b'));
  expect(errorOf(() => quota.hold('b'))).toMatchObject({ code: 'overloaded', retryAfterSeconds: 7 });
  for (const release of releases) release();
  expect(quota.held).toBe(0);
  quota.hold('b');
});

test('what is held is what was accepted and not released, however often it is released', () => {
  const step = fc.record({ account: fc.constantFrom('a', 'b', 'c'), count: fc.nat(6), releases: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const quota = new Quota({ ofAccount: 8, ofAll: 15, what: 'bytes' });
      const held: { account: string; count: number; release: () => void }[] = [];
      for (const { account, count, releases } of steps) {
        const ofAccount = held.filter((one) => one.account === account).reduce((sum, one) => sum + one.count, 0);
        const ofAll = held.reduce((sum, one) => sum + one.count, 0);
        const isAccepted =
          errorOf(() => held.push({ account, count, release: quota.hold(account, count) })) === undefined;
        expect(isAccepted).toBe(ofAccount + count <= 8 && ofAll + count <= 15);
        const [ended] = held.splice(releases, 1);
        ended?.release();
        ended?.release();
        expect(quota.held).toBe(held.reduce((sum, one) => sum + one.count, 0));
      }
    }),
  );
});
