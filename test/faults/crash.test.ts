import { EventEmitter, once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFailed, test } from 'vitest';
import { findingsOf } from '../harness/checking.js';
import type { TestServer } from '../harness/server.js';
import { Instances } from './killed/instances.js';
import { expectLedger, Ledger, type MixedLoad, mixedClient } from './mixed-load.js';
import { seededRandom } from './random.js';
import { faultsOf } from './remains.js';

/** `npm run faults -- --kills 200` sets another number. */
const KILLS = Number(process.env.TRAINYARD_TEST_KILLS ?? 14);
const CLIENTS = [0, 1, 2, 3, 4, 5];

/** `verify --store` takes a second, so it runs after every so many kills and after the last one. */
const CHECK_INTERVAL = 7;

/** The moment of a crash: at most this many answers, and then this delay. */
const MAX_ANSWERS = 60;
const MAX_DELAY_MS = 25;

const SETTINGS = { 'blob-grace-seconds': 0 };

test(
  'after a crash at any moment, every acknowledged file is there and every listed file is whole',
  async () => {
    const seed = Number(process.env.TRAINYARD_TEST_SEED ?? 20_261_130);
    onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`));
    const random = seededRandom(seed);
    const ledger = new Ledger();
    const known = new Set<string>();
    const instances = await Instances.start(SETTINGS);
    try {
      const datasetId = await (await instances.victim.api()).newDataset('crashes');
      for (let kill = 1; kill <= KILLS; kill++) {
        const { victim, survivor } = instances;
        let answersLeft = 1 + Math.floor(random() * MAX_ANSWERS);
        const delayMs = random() * MAX_DELAY_MS;
        const exited = once(victim.process, 'exit');
        const answered = new EventEmitter();
        const enough = once(answered, 'enough');
        const onAnswer = () => --answersLeft === 0 && answered.emit('enough');
        const loadOn = async (server: TestServer): Promise<MixedLoad> => {
          return { api: await server.api(), datasetId, ledger, isStopped: false, onAnswer };
        };
        const clientsOf = (load: MixedLoad, numbers: readonly number[]) =>
          Promise.all(numbers.map((i) => mixedClient(load, i, seededRandom(random() * 2 ** 32))));
        const load = await loadOn(victim);
        // Every second client of two instances is one of the survivor: its requests go on, and none may fail.
        const beside = survivor && (await loadOn(survivor));
        const [even, odd] = [CLIENTS.filter((i) => i % 2 === 0), CLIENTS.filter((i) => i % 2 === 1)];
        const working = clientsOf(load, beside === undefined ? CLIENTS : even);
        const workingBeside = beside && clientsOf(beside, odd);
        await Promise.race([enough, working, ...(workingBeside ? [workingBeside] : [])]);
        await wait(delayMs);
        load.isStopped = true;
        victim.process.kill('SIGKILL');
        await Promise.all([exited, working]);
        await instances.restart();
        if (beside !== undefined) beside.isStopped = true;
        await workingBeside;
        expect([victim, ...instances.all].flatMap(faultsOf)).toEqual([]);

        for (const server of instances.all) await expectLedger(await server.api(), datasetId, ledger);
        await instances.expectNothingRemains();
        if (kill % CHECK_INTERVAL === 0 || kill === KILLS) expect(await findingsOf(instances.victim)).toEqual([]);
        for (const name of ledger.names()) known.add(name);
      }
      expect(ledger.unanswered).toBeGreaterThan(KILLS);
      expect(known.size).toBeGreaterThan(CLIENTS.length);
    } finally {
      await instances.discard();
    }
  },
  600_000 + KILLS * 10_000,
);
