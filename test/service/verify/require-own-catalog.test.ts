import { existsSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { dataFolderPaths } from '../../../src/storage/data-folder.js';
import { whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { databaseForTest } from '../../harness/postgres.js';
import { serverUntil, startServer } from '../../harness/server.js';
import { newWorld } from '../../harness/world.js';

test.skipIf((whyNoPostgres() ?? whyNoS3()) !== undefined)(
  'a new catalog beside a store with files is noticed at the start, and the right one is served',
  async () => {
    const world = await newWorld('postgres+presigned');
    onTestFinished(world.discard);
    const first = await serverUntil(onTestFinished, {}, { env: world.env });
    const api = await first.api();
    const id = await api.newDataset();
    expect((await api.upload(id, 'a.txt', 'a caption')).status).toBe(200);
    await first.stop();

    const { dataFolder } = first;
    for (const env of [
      { ...world.env, DATABASE_URL: await databaseForTest() },
      // The catalog would be a new file in the data folder.
      { ...world.env, DATABASE_URL: '' },
    ]) {
      await expect(startServer({}, { env, dataFolder })).rejects.toThrow(/catalog is new[^\n]* has files of datasets/);
    }
    expect(existsSync(dataFolderPaths(dataFolder).catalog)).toBe(false);
    const again = await serverUntil(onTestFinished, {}, { env: world.env, dataFolder });
    expect((await fetch(`${again.url}/readyz`)).status).toBe(200);
  },
);
