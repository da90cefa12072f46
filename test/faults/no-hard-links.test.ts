import { expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { put } from '../harness/api.js';
import { whyNoCompiler } from '../harness/available.js';
import { findingsOf } from '../harness/checking.js';
import { trainyard } from '../harness/command.js';
import { datasetOf, newRoot } from '../harness/mounting.js';
import { serverUntil } from '../harness/server.js';
import { blobPathsIn, newFolder } from '../harness/transferring.js';
import { builtLibrary } from './preload.js';

const leftOut = whyNoCompiler();

test.skipIf(leftOut !== undefined)(
  `a file system without hard links stores uploads, one of those that race for a link, and backups${leftOut ? `, left out: ${leftOut}` : ''}`,
  async () => {
    const env = { LD_PRELOAD: await builtLibrary('no-hard-links.c') };
    const server = await serverUntil(onTestFinished, {}, { env });
    const api = await server.api();
    const id = await api.newDataset();
    expect((await api.upload(id, 'a.txt', 'a red wagon')).status).toBe(200);
    const link = await api.link(id, 'b.txt', 10);
    const sent = await Promise.all(['a blue one', 'a pink one'].map((text) => put(link, text)));
    expect(sent.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
    expect(await findingsOf(server)).toEqual([]);
    const dir = await newFolder();
    for (const copied_files of [2, 0]) {
      const ended = await trainyard(['backup', dir, '--data', server.dataFolder, '--json'], { env });
      expect([ended.stderr, ended.json()]).toMatchObject(['', { files: 2, copied_files }]);
    }
    expect(await blobPathsIn(dir)).toHaveLength(2);
  },
);

test.skipIf(leftOut !== undefined)(
  `a dataset is mounted on a file system without modes${leftOut ? `, left out: ${leftOut}` : ''}`,
  async () => {
    const server = await serverUntil(onTestFinished);
    await datasetOf(await server.api(), { 'a.jpg': await media.jpeg(), 'a.txt': 'a red wagon' }, 'wagon');
    const env = { LD_PRELOAD: await builtLibrary('no-modes.c') };
    const args = ['mount', 'wagon', '--data', server.dataFolder, '--into', await newRoot(), '--json'];
    const ended = await trainyard(args, { env });
    expect([ended.code, ended.json().mounts]).toMatchObject([0, [{ outcome: 'mounted', files: 2 }]]);
  },
);
