/*
 * `npm run hostile [-- PART_OF_A_NAME]`: sends every hostile file to a server of its own, one after the other, and prints what
 * each one cost. A file fails that gets no verdict, is answered 5xx, delays other requests, or goes beyond its budget of
 * processor time or memory. Needs a build.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { discardServer, startServer } from '../harness/server.js';
import { FAMILIES } from './all.js';
import { faultsOfVerdict, sendPatiently } from './attack.js';
import { writeHostile } from './hostile-file.js';
import { HealthLoop, MemoryLoop } from './observers.js';

/** Of the server with all its processes. */
const MAX_MEGABYTES = 500;
/** On idle cores the slowest answer takes 250 ms. */
const MAX_HEALTH_MS = 1000;

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
    const verdict = await sendPatiently(server, { api, id, filename }, path).catch((error: Error) => error);
    const megabytes = memory.take();
    const fail = (fault: string) => failures.push(`${filename} ${fault}`);
    if (verdict instanceof Error) fail(`gets no verdict: ${verdict.message}`);
    else {
      const { sizeBytes, status, message = '', seconds, cpuSeconds } = verdict;
      const healthMs = health.take();
      const costs = [seconds, cpuSeconds, megabytes, healthMs];
      printRow(family, filename, sizeBytes / 1e6, String(status), ...costs, message);
      failures.push(...faultsOfVerdict(verdict));
      if (healthMs > MAX_HEALTH_MS) fail(`delays /healthz by ${healthMs.toFixed(0)} ms, more than ${MAX_HEALTH_MS} ms`);
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
