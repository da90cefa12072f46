import { execFile } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Api } from '../../test/harness/api.js';
import { COMMAND, discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { alternate, secondsOf } from '../measure.js';
import { writePhotos } from '../photos.js';
import { formatFigure, rowNotMeasured, rowWithTarget } from '../table.js';

const run = promisify(execFile);

/** `trainyard push` of a folder of pairs, against curl sending the same files sequentially. */
export const benchPush: Benchmark = async ({ folder, isQuick, log }) => {
  const pairs = isQuick ? 200 : 1000;
  const what = `push of ${formatFigure(pairs)} pairs of a 200 kB JPEG and its caption`;
  if (!(await hasCurl())) return [rowNotMeasured(what, 'curl is not installed', '≤ 0.3')];
  const files = await writePairs(folder, pairs);
  const server = await startServer({}, { dataFolder: join(folder, 'data') });
  try {
    const api = await server.api();
    let pushes = 0;
    const push = async () => {
      const name = `push ${++pushes}`;
      const own = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token, XDG_CONFIG_HOME: join(folder, 'settings') };
      const env = { ...process.env, ...own };
      const args = [COMMAND, 'push', join(folder, 'pairs'), '--name', name, '--json'];
      const seconds = await secondsOf(() => run(process.execPath, args, { env, maxBuffer: 1 << 26 }));
      log(`push: ${formatFigure(seconds)} s`);
      return seconds;
    };
    const curl = async () => {
      const id = await api.newDataset();
      const seconds = await secondsOf(async () => {
        for (const path of files) await uploadByCurl(api, id, path);
      });
      log(`curl: ${formatFigure(seconds)} s`);
      return seconds;
    };
    const seconds = await alternate({ curl, push }, isQuick ? 1 : 2);
    const row = {
      what,
      measured: `${formatFigure(seconds.push)} s`,
      reference: `curl, sequentially: ${formatFigure(seconds.curl)} s`,
      ratio: seconds.push / seconds.curl,
    };
    return [rowWithTarget(row, { atMost: 0.3 })];
  } finally {
    await discardServer(server);
  }
};

async function hasCurl(): Promise<boolean> {
  return run('curl', ['--version']).then(
    () => true,
    () => false,
  );
}

async function uploadByCurl(api: Api, id: string, path: string): Promise<void> {
  const url = `${api.url}/prod/v1/trainers/datasets/${id}/upload`;
  await run('curl', [
    '-fsS',
    '-o',
    '/dev/null',
    '-H',
    `authorization: Bearer ${api.token}`,
    '-F',
    `file=@${path}`,
    url,
  ]);
}

/** Writes pairs into the sub-folder `pairs` and returns all paths. */
export async function writePairs(folder: string, count: number): Promise<string[]> {
  const target = join(folder, 'pairs');
  await mkdir(target);
  const photos = await writePhotos(folder, 50);
  const paths: string[] = [];
  for (let i = 0; i < count; i++) {
    const stem = join(target, `photo_${String(i).padStart(5, '0')}`);
    await copyFile(photos[i % photos.length]!, `${stem}.jpg`);
    await writeFile(`${stem}.txt`, `photograph number ${i}, slopes and grain`);
    paths.push(`${stem}.jpg`, `${stem}.txt`);
  }
  return paths;
}
