import { expect, onTestFailed, test } from 'vitest';
import { IS_ALL } from '../harness/available.js';
import { newMemoryCgroup } from '../harness/cgroup.js';
import { findingsOf } from '../harness/checking.js';
import { discardServer, eventually, startServer } from '../harness/server.js';
import { expectLedger, Ledger, type MixedLoad, mixedClient } from './mixed-load.js';
import { MemoryLoop } from '../hostile/observers.js';
import { seededRandom } from './random.js';
import { pourDirect } from './pour.js';
import { faultsOf, isAlive } from './remains.js';

const MEGABYTE = 1_000_000;
const MAX_MEGABYTES = 1000;
const CLIENTS = 6;
const ANSWERS = IS_ALL ? 400 : 100;
const LARGE_UPLOADS = 4;
const LARGE_BYTES = (IS_ALL ? 120 : 40) * MEGABYTE;

const cgroup = newMemoryCgroup(MAX_MEGABYTES * MEGABYTE);
const where = 'refusal' in cgroup ? `, as /proc counts it: ${cgroup.refusal}` : ', in a cgroup of that size';

test.skipIf(process.platform !== 'linux')(
  `mixed load and large uploads stay within 1 GB with all processes${where}`,
  async () => {
    const seed = Number(process.env.TRAINYARD_TEST_SEED ?? 20_261_130);
    onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`));
    const within = 'refusal' in cgroup ? {} : { within: { command: cgroup.command, address: '127.0.0.1' } };
    const server = await startServer({ 'blob-grace-seconds': 0 }, within);
    try {
      const api = await server.api();
      const [datasetId, large] = [await api.newDataset(), await api.newDataset()];
      const ledger = new Ledger();
      let answers = 0;
      const load: MixedLoad = {
        ...{ api, datasetId, ledger, isStopped: false },
        onAnswer: () => {
          load.isStopped ||= ++answers >= ANSWERS;
        },
      };
      const clients = Array.from({ length: CLIENTS }, (_, i) => mixedClient(load, i, seededRandom(seed + i)));
      const uploads = Array.from({ length: LARGE_UPLOADS }, (_, i) =>
        pourDirect(api, large, `${i}.txt`, { bytes: LARGE_BYTES }),
      );
      const memory = new MemoryLoop(server.process.pid!);
      const [answered] = await Promise.all([Promise.all(uploads), Promise.all(clients)]);
      memory.stop();
      const peak = memory.take();
      expect(answered.map(({ status }) => status)).toEqual(Array(LARGE_UPLOADS).fill(200));
      expect(peak).toBeGreaterThan(50);
      expect(peak).toBeLessThan(MAX_MEGABYTES);
      if ('oomKills' in cgroup) expect(cgroup.oomKills()).toBe(0);
      await expectLedger(api, datasetId, ledger);
      expect([isAlive(server), faultsOf(server), await findingsOf(server)]).toEqual([true, [], []]);
    } finally {
      await discardServer(server);
      // Processes that the server had started may end a little later.
      if ('remove' in cgroup) await eventually(() => cgroup.remove() || undefined);
    }
  },
);
