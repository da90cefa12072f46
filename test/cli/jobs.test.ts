import { expect, test } from 'vitest';
import { trainyard } from '../harness/command.js';
import { openPlace } from '../service/check/check-service.js';

test('`trainyard jobs` shows the jobs of an installation by kind, with the error of one that failed', async () => {
  const { newInstance, folder, key, jobs } = await openPlace();
  const args = ['jobs', '--data', folder];
  expect(await trainyard(args)).toMatchObject({ code: 0, stdout: 'There are no jobs.\n' });
  const { upload, dependencies } = newInstance();
  await upload('long 1.mp4');
  await upload('long 2.mp4');
  const now = dependencies.now();
  const until = now + 3_600_000_000;
  const claimed = await jobs.claim({ kind: 'check-file', accountId: key.accountId }, { now, until, token: 'me' });
  await jobs.fail(claimed!, { dueAt: until, error: 'The store\ndoes not answer.' });
  const waitedSince = now - 90_000_000;
  await jobs.ensure([{ kind: 'empty-trash', key: '', accountId: '', dueAt: waitedSince }]);
  await jobs.claim({ kind: 'check-file', accountId: key.accountId }, { now: until - 1, until, token: 'me' });

  const { code, stdout } = await trainyard([...args, '--json']);
  expect(code).toBe(0);
  const [checks, trash] = JSON.parse(stdout).jobs;
  expect(checks).toEqual({
    ...{ kind: 'check-file', waiting: 1, running: 1, failed: 1, oldest_seconds: 0 },
    error: 'The store\ndoes not answer.',
  });
  expect(trash).toMatchObject({ kind: 'empty-trash', waiting: 1, running: 0, failed: 0 });
  expect(trash.oldest_seconds).toBeGreaterThanOrEqual(90);
  const table = (await trainyard(args)).stdout.split('\n');
  expect(table[0]).toMatch(/^KIND +WAITING +RUNNING +FAILED +OLDEST +ERROR$/);
  expect(table[1]).toMatch(/^check-file +1 +1 +1 +The store\\u000adoes not answer\.$/);
  expect(table[2]).toMatch(/^empty-trash +1 +0 +0 +\d+ seconds$/);
});
