/*
 * `npm run hostile [-- PART_OF_A_NAME]`: sends every hostile file, the large ones included, to a server of its own, one after
 * the other, and prints what each one cost. A file fails that gets no verdict, is answered 5xx, or goes beyond its budget of
 * processor time or memory. Needs a build.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { discardServer, startServer } from '../harness/server.js';
import { FAMILIES } from './all.js';
import { maxSecondsOf, sendFile } from './attack.js';
import { writeHostile } from './hostile-file.js';
import { HealthLoop, MemoryLoop } from './observers.js';

/** Of the server with all its processes. */
const MAX_MEGABYTES = 500;

const COLUMNS = [10, 48, 9, 7, 8, 8, 9, 9] as const;

function printRow(...cells: readonly (string | number)[]): void {
  const texts = cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(1) : cell));
  console.log(texts.map((text, i) => text.padEnd(COLUMNS[i] ?? 0)).join(' '));
}

const wanted = process.argv[2] ?? '';
const files = Object.entries(FAMILIES)
  .flatMap(([family, own]) => own.map((file) => ({ family, file })))
  .filter(({ family, file }) => `${family}/${file.filename}`.includes(wanted));
const failures: string[] = [];
const folder = await mkdtemp(join(tmpdir(), 'hostile-'));
const server = await startServer();
const [health, memory] = [new HealthLoop(server.url), new MemoryLoop(server.process.pid!)];
try {
  const api = await server.api();
  const id = await api.newDataset();
  printRow('family', 'file', 'MB', 'status', 'wall s', 'CPU s', 'peak MB', 'health ms', 'message');
  for (const { family, file } of files) {
    const path = await writeHostile(folder, file);
    health.take();
    memory.take();
    const { filename } = file;
    const send = () => sendFile(server, { api, id, filename }, path).catch((error: Error) => error);
    let verdict = await send();
    // On a busy machine, a check may take longer than an answer may. The file is then sent again, as the answer says.
    for (let repeats = 0; repeats < 3 && 'status' in verdict && verdict.status === 503; repeats++)
      verdict = await send();
    const megabytes = memory.take();
    const fail = (fault: string) => failures.push(`${family}/${filename} ${fault}`);
    if (verdict instanceof Error) fail(`gets no verdict: ${verdict.message}`);
    else {
      const { sizeBytes, status, message = '', seconds, cpuSeconds } = verdict;
      const costs = [seconds, cpuSeconds, megabytes, health.take().slowestMs];
      printRow(family, filename, sizeBytes / 1e6, String(status), ...costs, message);
      if (status >= 500) fail(`is answered ${status}: ${message}`);
      const limit = maxSecondsOf({ filename, sizeBytes });
      if (cpuSeconds > limit)
        fail(`takes ${cpuSeconds.toFixed(1)} s of the processors, more than ${limit.toFixed(1)} s`);
    }
    if (megabytes > MAX_MEGABYTES) fail(`takes ${megabytes.toFixed(0)} MB, more than ${MAX_MEGABYTES} MB`);
    await rm(path);
  }
} finally {
  memory.stop();
  await health.stop();
  await discardServer(server);
  await rm(folder, { recursive: true });
}
for (const failure of failures) console.log(failure);
const failed = new Set(failures.map((failure) => failure.split(' ', 1)[0])).size;
console.log(`${files.length} files, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
