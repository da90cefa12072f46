/*
 * `npm run hostile [-- PART_OF_A_NAME]`: sends every hostile file, the large ones included, to a server of its own, one after
 * the other, and prints what each one cost. Needs a build.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { discardServer, startServer } from '../harness/server.js';
import { FAMILIES } from './all.js';
import { sendFile } from './attack.js';
import { writeHostile } from './hostile-file.js';
import { HealthLoop, MemoryLoop } from './observers.js';

const COLUMNS = [10, 48, 9, 7, 8, 8, 9, 9] as const;

function printRow(...cells: readonly (string | number)[]): void {
  console.log(
    cells.map((cell, i) => (typeof cell === 'number' ? cell.toFixed(1) : cell).padEnd(COLUMNS[i] ?? 0)).join(' '),
  );
}

const wanted = process.argv[2] ?? '';
const folder = await mkdtemp(join(tmpdir(), 'hostile-'));
const server = await startServer();
const pid = server.process.pid!;
const [health, memory] = [new HealthLoop(server.url), new MemoryLoop(pid)];
try {
  const api = await server.api();
  const id = await api.newDataset();
  printRow('family', 'file', 'MB', 'status', 'wall s', 'CPU s', 'peak MB', 'health ms', 'message');
  for (const [family, files] of Object.entries(FAMILIES)) {
    for (const file of files.filter(({ filename }) => `${family}/${filename}`.includes(wanted))) {
      const path = await writeHostile(folder, file);
      health.take();
      memory.take();
      const verdict = await sendFile(server, { api, id, filename: file.filename }, path);
      const { filename, sizeBytes, status, message = '', seconds, cpuSeconds } = verdict;
      printRow(
        family,
        filename,
        sizeBytes / 1e6,
        String(status),
        seconds,
        cpuSeconds,
        memory.take(),
        health.take().slowestMs,
        message,
      );
      await rm(path);
    }
  }
} finally {
  memory.stop();
  await health.stop();
  await discardServer(server);
  await rm(folder, { recursive: true });
}
