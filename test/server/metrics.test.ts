import { expect, test } from 'vitest';
import { Metrics } from '../../src/server/metrics.js';
import type { JobCounts } from '../../src/storage/catalog/jobs.js';

/** Metrics that count how often they are collected, and by whose clock this takes some time. */
function countedMetrics(tookMs: number) {
  const time = { ms: 0 };
  const metrics = new Metrics(() => time.ms);
  let collected = 0;
  metrics.gauge('collected', 'How often.', () => {
    time.ms += tookMs;
    return ++collected;
  });
  return { time, metrics, collected: () => collected };
}

test('many calls at once get one text', async () => {
  const { metrics, collected } = countedMetrics(0);
  const texts = await Promise.all(Array.from({ length: 100 }, () => metrics.text()));
  expect(new Set(texts).size).toBe(1);
  expect(texts[0]).toContain('collected 1');
  expect(collected()).toBe(1);
});

test.each([
  [5, 100],
  [400, 1000],
])('a text that took %i ms is used again for %i ms', async (tookMs, ageMs) => {
  const { time, metrics, collected } = countedMetrics(tookMs);
  const first = await metrics.text();
  time.ms += ageMs - 1;
  expect(await metrics.text()).toBe(first);
  time.ms += 1;
  expect(await metrics.text()).toContain('collected 2');
  expect(collected()).toBe(2);
});

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
