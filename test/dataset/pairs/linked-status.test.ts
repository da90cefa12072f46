import { expect, test } from 'vitest';
import { datasetCountsOf } from '../../harness/counts-of.js';
import type { Dataset, DatasetCounts, StatusRules } from '../../../src/dataset/dataset.js';
import { datasetStatusOf, lastActivityOf, nextStatusChangeOf } from '../../../src/dataset/pairs/links.js';

const RULES: StatusRules = { captionGrace: 100 };
const ACTIVE_AT = 1000;
const LATER = 10_000;

const NONE = datasetCountsOf([], ACTIVE_AT);

/** What the status of a dataset without links is, long after its last activity. */
const COUNTS = {
  DRAFT: NONE,
  UPLOADING: { ...NONE, images: 1, trainable: 1, received: 1 },
  READY: { ...NONE, images: 1, trainable: 1 },
  FAILED: { ...NONE, images: 1, trainable: 1, rejected: 1 },
} satisfies Record<string, DatasetCounts>;

function datasetWith(counts: DatasetCounts, ...linked: DatasetCounts[]): Pick<Dataset, 'counts' | 'links'> {
  const slots = ['control_1', 'control_2', 'mask'] as const;
  const links = linked.map((each, i) => ({
    slot: slots[i]!,
    dataset: { counts: each, links: [] } as unknown as Dataset,
  }));
  return { counts, links };
}

test.each([
  { own: 'READY', linked: ['READY', 'READY'], status: 'READY' },
  { own: 'READY', linked: ['READY', 'UPLOADING'], status: 'UPLOADING' },
  { own: 'READY', linked: ['FAILED', 'UPLOADING'], status: 'UPLOADING' },
  { own: 'READY', linked: ['READY', 'FAILED'], status: 'FAILED' },
  { own: 'READY', linked: ['DRAFT'], status: 'FAILED' },
  { own: 'FAILED', linked: ['READY'], status: 'FAILED' },
  { own: 'FAILED', linked: ['UPLOADING'], status: 'UPLOADING' },
  { own: 'UPLOADING', linked: ['FAILED'], status: 'UPLOADING' },
  { own: 'DRAFT', linked: ['FAILED'], status: 'DRAFT' },
  { own: 'DRAFT', linked: ['UPLOADING'], status: 'DRAFT' },
] as const)(
  'the status of a dataset with links is $status if its own is $own and those of the linked ones are $linked',
  ({ own, linked, status }) => {
    const dataset = datasetWith(COUNTS[own], ...linked.map((each) => COUNTS[each]));
    expect(datasetStatusOf(dataset, LATER, RULES)).toBe(status);
  },
);

test('a dataset waits for a missing control as for a caption, from the last activity in any of the datasets', () => {
  const target = { ...COUNTS.READY, unpaired: 1 };
  const control = { ...COUNTS.READY, lastActivity: 2000 };
  const dataset = datasetWith(target, control);
  expect(lastActivityOf(dataset)).toBe(2000);
  expect(nextStatusChangeOf(dataset, 2050, RULES)).toBe(2100);
  expect(datasetStatusOf(dataset, 2099, RULES)).toBe('UPLOADING');
  expect(datasetStatusOf(dataset, 2100, RULES)).toBe('FAILED');
  expect(datasetStatusOf(datasetWith({ ...target, unpaired: 0 }, control), 2100, RULES)).toBe('READY');
  const uploading = datasetWith(COUNTS.READY, { ...COUNTS.READY, pending: 1, pendingUntil: 3000 });
  expect(nextStatusChangeOf(uploading, 2500, RULES)).toBe(3000);
});
