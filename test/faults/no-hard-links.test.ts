import { spawnSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { put } from '../harness/api.js';
import { whyNoCompiler } from '../harness/available.js';
import { findingsOf } from '../harness/checking.js';
import { trainyard } from '../harness/command.js';
import { discardServer, startServer, temporaryFolder } from '../harness/server.js';
import { blobPathsIn, newFolder } from '../harness/transferring.js';

const SOURCE = fileURLToPath(new URL('no-hard-links.c', import.meta.url));
const LEFT_OUT = whyNoCompiler();

describe.skipIf(LEFT_OUT !== undefined)(LEFT_OUT ?? 'a file system without hard links', () => {
  let built: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    built = await temporaryFolder();
    const library = join(built, 'no-hard-links.so');
    expect(spawnSync('gcc', ['-shared', '-fPIC', '-o', library, SOURCE], { encoding: 'utf8' }).stderr).toBe('');
    env = { LD_PRELOAD: library };
  });
  afterAll(() => rm(built, { recursive: true }));

  test('stores uploads, one of those that race for a link, and backups', async () => {
    const server = await startServer({}, { env });
    onTestFinished(() => discardServer(server));
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
  });
});
