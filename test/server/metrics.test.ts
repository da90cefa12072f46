import { expect, test } from 'vitest';
import { Metrics } from '../../src/server/metrics.js';

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
