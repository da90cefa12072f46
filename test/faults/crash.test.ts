import { EventEmitter, once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFailed, test } from 'vitest';
import { findingsOf } from '../harness/checking.js';
import { discardServer, startServer, temporaryFolder } from '../harness/server.js';
import { Ledger } from './ledger.js';
import { expectLedger, type MixedLoad, mixedClient } from './mixed-load.js';
import { seededRandom } from './random.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from './remains.js';

/** `npm run faults -- --kills 200` sets another number. */
const KILLS = Number(process.env.TRAINYARD_TEST_KILLS ?? 14);
const CLIENTS = 6;

/** `check-store` takes a second, so it runs after every so many kills and after the last one. */
const CHECK_INTERVAL = 7;

/** The moment of a crash: at most this many answers, and then this delay. */
const MAX_ANSWERS = 60;
const MAX_DELAY_MS = 25;

const SETTINGS = { 'blob-grace-seconds': 0 };

test(
  'after a crash at any moment, every acknowledged file is there and every listed file is whole',
  async () => {
    const seed = Number(process.env.TRAINYARD_TEST_SEED ?? Date.now() % 1_000_000);
    onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`));
    const random = seededRandom(seed);
    const dataFolder = await temporaryFolder();
    const ledger = new Ledger();
    const known = new Set<string>();
    let server = await startServer(SETTINGS, { dataFolder });
    try {
      const datasetId = await (await server.api()).newDataset('crashes');
      for (let kill = 1; kill <= KILLS; kill++) {
        const api = await server.api();
        let answersLeft = 1 + Math.floor(random() * MAX_ANSWERS);
        const delayMs = random() * MAX_DELAY_MS;
        const exited = once(server.process, 'exit');
        const answered = new EventEmitter();
        const enough = once(answered, 'enough');
        const onAnswer = () => --answersLeft === 0 && answered.emit('enough');
        const load: MixedLoad = { api, datasetId, ledger, isStopped: false, onAnswer };
        const clients = Array.from({ length: CLIENTS }, (_, i) =>
          mixedClient(load, i, seededRandom(random() * 2 ** 32)),
        );
        const working = Promise.all(clients);
        await Promise.race([enough, working]);
        await wait(delayMs);
        load.isStopped = true;
        server.process.kill('SIGKILL');
        await Promise.all([exited, working]);
        expect(faultsOf(server)).toEqual([]);

        server = await startServer(SETTINGS, { dataFolder });
        await expectLedger(await server.api(), datasetId, ledger);
        // Captions that were being saved stay in the trash for as long as that may take.
        expect({ ...remainsIn(dataFolder), trash: [] }).toEqual(NOTHING_REMAINS);
        if (kill % CHECK_INTERVAL === 0 || kill === KILLS) expect(await findingsOf(server)).toEqual([]);
        for (const name of ledger.names()) known.add(name);
      }
      expect(ledger.unanswered).toBeGreaterThan(KILLS);
      expect(known.size).toBeGreaterThan(CLIENTS);
    } finally {
      await discardServer(server);
    }
  },
  600_000 + KILLS * 10_000,
);
