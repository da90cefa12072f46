import { EventEmitter, once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { findingsOf } from '../harness/checking.js';
import { discardServer, startServer } from '../harness/server.js';
import { expectNothingRemains, LEASES } from './killed/unhealed.js';
import { expectLedger, Ledger, type MixedLoad, mixedClient } from './mixed-load.js';
import { printedSeed, seededRandom } from './random.js';
import { faultsOf } from './remains.js';

/** `npm run faults -- --kills 200` sets another number. */
const KILLS = Number(process.env.TRAINYARD_TEST_KILLS ?? 14);
const CLIENTS = [0, 1, 2, 3, 4, 5];

/** The moment of a crash: at most this many answers, and then this delay. */
const MAX_ANSWERS = 60;
const MAX_DELAY_MS = 25;

const SETTINGS = { 'blob-grace-seconds': 0, ...LEASES };

test('after a crash at any moment, every acknowledged file is there and every listed file is whole', {
  tags: ['long'],
  timeout: 600_000 + KILLS * 10_000,
}, async () => {
  const seed = printedSeed();
  const random = seededRandom(seed);
  const ledger = new Ledger();
  const known = new Set<string>();
  let server = await startServer(SETTINGS);
  try {
    const datasetId = await (await server.api()).newDataset('crashes');
    for (let kill = 1; kill <= KILLS; kill++) {
      let answersLeft = 1 + Math.floor(random() * MAX_ANSWERS);
      const delayMs = random() * MAX_DELAY_MS;
      const answered = new EventEmitter();
      const enough = once(answered, 'enough');
      const onAnswer = () => --answersLeft === 0 && answered.emit('enough');
      const load: MixedLoad = { api: await server.api(), datasetId, ledger, isStopped: false, onAnswer };
      const clients = CLIENTS.map((i) => mixedClient(load, i, seededRandom(random() * 2 ** 32)));
      const working = Promise.all(clients);
      await Promise.race([enough, working]);
      await wait(delayMs);
      load.isStopped = true;
      await Promise.all([server.stop('SIGKILL'), working]);
      expect(faultsOf(server)).toEqual([]);
      server = await startServer(SETTINGS, { dataFolder: server.dataFolder });
      await expectLedger(await server.api(), datasetId, ledger);
      await expectNothingRemains(server);
      for (const name of ledger.names()) known.add(name);
    }
    expect(await findingsOf(server)).toEqual([]);
    expect(ledger.unanswered).toBeGreaterThan(KILLS);
    expect(known.size).toBeGreaterThan(CLIENTS.length);
  } finally {
    await discardServer(server);
  }
});
