// @module-tag long
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { fillCatalog } from '../../../bench/fill.js';
import { findingsOf } from '../../harness/checking.js';
import { killGroup, startCommand } from '../../harness/command.js';
import { discardServer, eventually, startServer, temporaryFolder } from '../../harness/server.js';
import { NOTHING_REMAINS, remainsIn } from '../remains.js';

/** So many that it takes seconds to remove them. */
const PAIRS = 10_000;
const KILLS = 3;
/** One of so many files has bytes. */
const EVERY = 100;

test('a server that is killed while it removes the files of a deleted dataset goes on at its next start', async () => {
  const dataFolder = await temporaryFolder();
  const [filled] = await fillCatalog({ dataFolder }, [
    { account: 'many', datasets: 1, images: PAIRS, captions: PAIRS },
  ]);
  const idsLeft = () => {
    const db = new DatabaseSync(join(dataFolder, 'catalog.sqlite'), { readOnly: true });
    const rows = db.prepare('select id from file').all() as { id: string }[];
    db.close();
    return rows.map(({ id }) => id);
  };
  const server = await startServer({ 'blob-grace-seconds': 0 }, { dataFolder });
  onTestFinished(() => discardServer(server));
  for (const [i, id] of idsLeft().entries()) {
    if (i % EVERY !== 0) continue;
    await mkdir(join(dataFolder, 'blobs', id.slice(0, 2)), { recursive: true });
    await writeFile(join(dataFolder, 'blobs', id.slice(0, 2), id), 'bytes');
  }
  const api = await server.api('many');
  expect((await api.request('DELETE', `/${filled!.datasetIds[0]}`)).status).toBe(200);
  await server.stop('SIGKILL');
  const serve = ['serve', '--data', dataFolder, '--port', '0', '--blob-grace-seconds', '0'];
  for (let kills = 0, left = idsLeft().length; kills < KILLS && left > 0; kills++) {
    const starting = startCommand(serve, { detached: true });
    left = await eventually(() => {
      const { length } = idsLeft();
      return length < left ? length : undefined;
    });
    await killGroup(starting);
  }
  const last = await startServer({ 'blob-grace-seconds': 0 }, { dataFolder });
  onTestFinished(() => last.stop().then(() => {}));
  await expect.poll(idsLeft).toEqual([]);
  await expect.poll(() => remainsIn(dataFolder)).toEqual(NOTHING_REMAINS);
  expect(await findingsOf(last)).toEqual([]);
});
