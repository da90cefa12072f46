import { afterEach, expect, test, vi } from 'vitest';
import type { WireDatasetWithFiles } from '../../src/api/schemas.js';
import { waitUntilReady } from '../../src/client/wait-until-ready.js';

afterEach(() => vi.useRealTimers());

test('the wait goes on when the clock of the machine is set back by hours', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  let requests = 0;
  const dataset = await waitUntilReady(async () => {
    vi.setSystemTime(Date.now() - 3_600_000);
    return { status: ++requests < 3 ? 'UPLOADING' : 'READY' } as WireDatasetWithFiles;
  }, {});
  expect(dataset.status).toBe('READY');
});
