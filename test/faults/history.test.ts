import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFailed, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { filesOf, listRevisions } from '../fuzz/history/compare-history.js';
import { digestOfFiles } from '../fuzz/history/history-model.js';
import { findingsOf } from '../harness/checking.js';
import { discardServer, startServer, temporaryFolder } from '../harness/server.js';
import { sha256 } from './contents.js';
import { seededRandom } from './random.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from './remains.js';

/** `npm run faults -- --kills 200` sets another number, for every test. */
const KILLS = Number(process.env.TRAINYARD_TEST_KILLS ?? 10);
/** Several transactions of a bulk change. */
const CAPTIONS = 600;
const SETTINGS = { 'blob-grace-seconds': 0 };

const names = Array.from({ length: CAPTIONS }, (_, i) => `caption_${i}.txt`);
const filesWith = (text: string) => new Map(names.map((name) => [name, sha256(Buffer.from(`${text} ${name}`))]));

test(
  'a kill leaves a bulk change in one revision, as far as it was saved, and a restore done or not begun',
  async () => {
    const seed = Number(process.env.TRAINYARD_TEST_SEED ?? 20_261_130);
    onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`));
    const random = seededRandom(seed);
    const dataFolder = await temporaryFolder();
    let server = await startServer(SETTINGS, { dataFolder });
    try {
      const api = await server.api();
      const id = await api.newDataset('history');
      const clientOf = (change: string) => {
        const options = { baseUrl: server.url, token: api.token, attempts: 1 };
        return new TrainyardClient({ ...options, change: { how: 'bulk', id: change } });
      };
      const save = (text: string) =>
        clientOf(text).bulk.saveCaptions(
          id,
          names.map((filename) => ({ filename, text: `${text} ${filename}` })),
        );
      const stateOf = async (number: number) => filesOf((await clientOf('read').history.revision(id, number)).manifest);
      await save('first');
      let saveMs = performance.now();
      await save('second');
      saveMs = performance.now() - saveMs;
      let restoreMs = performance.now();
      await clientOf('read').history.restore(id, 1);
      restoreMs = performance.now() - restoreMs;
      let interrupted = 0;
      for (let kill = 1; kill <= KILLS; kill++) {
        const isBulk = kill % 2 === 1;
        const before = (await listRevisions(clientOf('read'), id)).at(-1)!.number;
        const [old, first] = [await stateOf(before), await stateOf(1)];
        const text = `change-${kill}`;
        const work = isBulk ? save(text) : clientOf('read').history.restore(id, 1);
        const ended = work.then(
          () => true,
          () => false,
        );
        // Spread over the usual time, so that some are early enough for changes that are faster than usual.
        await wait(((kill - 1 + random()) / KILLS) * (isBulk ? saveMs : restoreMs));
        await server.stop('SIGKILL');
        const isAcknowledged = await ended;
        expect(faultsOf(server)).toEqual([]);

        server = await startServer(SETTINGS, { dataFolder });
        const revisions = await listRevisions(clientOf('read'), id);
        const latest = revisions.at(-1)!;
        const files = await stateOf(latest.number);
        expect(filesOf((await clientOf('read').status(id)).files)).toEqual(files);
        expect(latest.digest).toBe(digestOfFiles(files));
        expect(latest.number - before).toBeLessThanOrEqual(1);
        expect(await stateOf(before)).toEqual(old);
        const after = isBulk ? filesWith(text) : first;
        if (isAcknowledged) expect(files).toEqual(after);
        const changed = names.filter((name) => files.get(name) !== old.get(name));
        expect(changed.filter((name) => files.get(name) !== after.get(name))).toEqual([]);
        if (!isBulk) expect([old, first]).toContainEqual(files);
        if (latest.number > before) {
          expect(latest).toMatchObject({ how: isBulk ? 'bulk' : 'restore', changed: changed.length });
        }
        if (!isAcknowledged) interrupted++;
        // Captions that were being saved stay in the trash for as long as that may take.
        expect({ ...remainsIn(dataFolder), trash: [] }).toEqual(NOTHING_REMAINS);
      }
      expect(interrupted).toBeGreaterThan(0);
      expect(await findingsOf(server)).toEqual([]);
      expect(await stateOf(1)).toEqual(filesWith('first'));
    } finally {
      await discardServer(server);
    }
  },
  600_000 + KILLS * 10_000,
);
