import { expect, test } from 'vitest';
import { Metrics } from '../../src/server/metrics.js';
import type { JobCounts } from '../../src/storage/catalog/jobs.js';

test('the jobs of each kind are shown, and how long the first one that is due has waited', async () => {
  const metrics = new Metrics();
  const error = 'The disk is full.';
  const counts = [
    { kind: 'deliver', waiting: 3, running: 2, failed: 1, oldestDueAt: 5_000_000, error },
    { kind: 'mount', waiting: 1, running: 0, failed: 0, oldestDueAt: 9_000_000, error: undefined },
  ] as const;
  let found: () => Promise<JobCounts[]> = async () => [...counts];
  metrics.jobs(
    () => found(),
    () => 7_500_000,
  );
  const text = await metrics.text();
  expect(text).toContain('trainyard_jobs{kind="deliver",state="waiting"} 3');
  expect(text).toContain('trainyard_jobs{kind="deliver",state="running"} 2');
  expect(text).toContain('trainyard_jobs{kind="deliver",state="failed"} 1');
  expect(text).toContain('trainyard_jobs_oldest_seconds{kind="deliver"} 2.5');
  expect(text).toContain('trainyard_jobs_oldest_seconds{kind="mount"} 0');
  expect(text).toContain('trainyard_jobs{kind="check-file",state="waiting"} 0');
  expect(text).not.toContain(error);
  found = async () => [];
  await expect.poll(() => metrics.text()).toContain('trainyard_jobs{kind="deliver",state="waiting"} 0');
  found = () => Promise.reject(new Error('The database does not answer.'));
  await expect.poll(() => metrics.text()).not.toContain('trainyard_jobs{');
});
