import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BASE_PATH } from '../../src/api/limits.js';
import { COMMAND, discardServer, startServer } from '../../test/harness/server.js';
import { inChild } from '../child.js';
import { Connection, mustSucceed } from '../connection.js';
import { writePhotos } from '../photos.js';
import { formatFigure, type Row, rowWithoutTarget, rowWithTarget, tableOf } from '../table.js';
import type { SoakJob, SoakLoadResult } from './load.js';
import { percentile, type SoakSample, sampleOf, slopePerHour } from './sample.js';

const LOAD = new URL('./load.ts', import.meta.url);
const CLIENTS = 8;
const SLICES = 10;
const PROBE_PAUSE_MS = 50;
const SAMPLE_PAUSE_MS = 1000;

/** The share of the time in which caches fill; the slopes are those of the rest. */
const WARM_UP = 1 / 3;

/** Removed files would otherwise fill the disk. */
const SETTINGS = { 'blob-grace-seconds': 30 };

interface Latency {
  readonly seconds: number;
  readonly milliseconds: number;
}

/**
 * Loads a server at the limit of the machine, and polls the status of a small dataset of another account meanwhile.
 *
 * @returns a table over time, and one with the verdicts
 */
export async function soak(options: { minutes: number; folder: string; log: (line: string) => void }): Promise<string> {
  const { minutes, folder, log } = options;
  const seconds = minutes * 60;
  await mkdir(join(folder, 'photos'));
  const images = await writePhotos(join(folder, 'photos'), 12);
  const server = await startServer(SETTINGS, { dataFolder: join(folder, 'data') });
  try {
    const pid = server.process.pid!;
    const api = await server.api();
    const datasetId = await api.newDataset();
    await api.upload(datasetId, 'only.txt', 'a caption');
    const request = `GET ${BASE_PATH}/${datasetId}/status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${api.token}\r\n\r\n`;
    const idle = await probe(server.url, request, { seconds: Math.min(30, seconds / 4) });
    const idleP99 = percentile(idle.map(milliseconds), 0.99);
    log(`idle: p99 of status ${formatFigure(idleP99)} ms; ${CLIENTS} clients for ${minutes} minutes`);

    const accounts = Array.from({ length: CLIENTS }, (_, i) => server.api(`soak-${i}`));
    const tokens = (await Promise.all(accounts)).map(({ token }) => token);
    const ended = new AbortController();
    const sampling = sampleUntil(ended.signal, pid, (sample) => log(progressOf(sample)));
    const [load, latencies] = await Promise.all([
      inChild<SoakJob, SoakLoadResult>(LOAD, { url: server.url, tokens, seconds, images }),
      probe(server.url, request, { seconds }),
    ]);
    ended.abort();
    const samples = await sampling;
    for (const failure of load.failures) log(`failed: ${failure}`);
    const isClean = await isStoreClean(server.dataFolder);
    const measured = { seconds, samples, latencies, load };
    return `${overTime(measured)}\n\n${tableOf(verdicts(measured, { idleP99, isClean }))}`;
  } finally {
    await discardServer(server);
  }
}

interface Measured {
  readonly seconds: number;
  readonly samples: readonly SoakSample[];
  readonly latencies: readonly Latency[];
  readonly load: SoakLoadResult;
}

async function probe(url: string, request: string, { seconds }: { seconds: number }): Promise<Latency[]> {
  const connection = await Connection.open(url);
  const startedAt = performance.now();
  const latencies: Latency[] = [];
  for (let at = 0; at < seconds; at = (performance.now() - startedAt) / 1000) {
    const askedAt = performance.now();
    mustSucceed(await connection.request(request));
    latencies.push({ seconds: at, milliseconds: performance.now() - askedAt });
    await wait(PROBE_PAUSE_MS);
  }
  connection.close();
  return latencies;
}

async function sampleUntil(
  signal: AbortSignal,
  pid: number,
  onMinute: (sample: SoakSample) => void,
): Promise<SoakSample[]> {
  const startedAt = performance.now();
  const samples: SoakSample[] = [];
  while (!signal.aborted) {
    const sample = await sampleOf(pid, (performance.now() - startedAt) / 1000);
    samples.push(sample);
    if (samples.length % 60 === 0) onMinute(sample);
    await wait(SAMPLE_PAUSE_MS, undefined, { signal }).catch(() => {});
  }
  return samples;
}

function progressOf({ seconds, serverMegabytes, childrenMegabytes, descriptors }: SoakSample): string {
  const memory = `server ${formatFigure(serverMegabytes)} MB, inspection ${formatFigure(childrenMegabytes)} MB`;
  return `${Math.round(seconds / 60)} min: ${memory}, ${descriptors} descriptors`;
}

async function isStoreClean(dataFolder: string): Promise<boolean> {
  const check = promisify(execFile)(process.execPath, [COMMAND, 'verify', '--store', '--data', dataFolder, '--json']);
  return check.then(
    () => true,
    () => false,
  );
}

/** A row for each slice of the time. */
function overTime({ seconds, samples, latencies, load }: Measured): string {
  const lines = [
    '| minute | requests/s | status p50 ms | p99 ms | server MB | inspection MB | descriptors |',
    '| --- | --- | --- | --- | --- | --- | --- |',
  ];
  for (let slice = 0; slice < SLICES; slice++) {
    const [from, to] = [(slice * seconds) / SLICES, ((slice + 1) * seconds) / SLICES];
    const isIn = ({ seconds: at }: { seconds: number }) => at >= from && at < to;
    const times = latencies.filter(isIn).map(milliseconds);
    const own = samples.filter(isIn);
    const requests = load.perSecond.slice(Math.floor(from), Math.floor(to));
    const cells = [
      `${formatFigure(from / 60)}–${formatFigure(to / 60)}`,
      formatFigure(mean(requests)),
      formatFigure(percentile(times, 0.5)),
      formatFigure(percentile(times, 0.99)),
      formatFigure(mean(own.map((sample) => sample.serverMegabytes))),
      formatFigure(mean(own.map((sample) => sample.childrenMegabytes))),
      formatFigure(mean(own.map((sample) => sample.descriptors))),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

function verdicts(
  { seconds, samples, latencies, load }: Measured,
  { idleP99, isClean }: { idleP99: number; isClean: boolean },
): Row[] {
  const warm = <T extends { seconds: number }>(all: readonly T[]) =>
    all.filter((one) => one.seconds > seconds * WARM_UP);
  const flat = (what: string, unit: string, figureOf: (sample: SoakSample) => number) => {
    const points = warm(samples).map((sample) => ({ seconds: sample.seconds, value: figureOf(sample) }));
    const half = points.length >> 1;
    const [first, second] = [points.slice(0, half), points.slice(half)].map((part) =>
      mean(part.map(({ value }) => value)),
    );
    const slope = slopePerHour(points);
    return rowWithTarget(
      {
        what: `${what}, warm`,
        measured: `${formatFigure(second ?? 0)} ${unit} at the end; slope ${slope < 0 ? '−' : '+'}${formatFigure(Math.abs(slope))} an hour`,
        reference: `${formatFigure(first ?? 0)} ${unit} before`,
        ratio: (second ?? 0) / (first ?? 1),
      },
      { atMost: 1.1 },
    );
  };
  const p99 = percentile(latencies.map(milliseconds), 0.99);
  const [early, late] = [
    latencies.filter((one) => one.seconds <= seconds / 2),
    latencies.filter((one) => one.seconds > seconds / 2),
  ].map((part) => percentile(part.map(milliseconds), 0.5));
  const peak = Math.max(...samples.map((sample) => sample.serverMegabytes + sample.childrenMegabytes));
  return [
    flat('memory of the server', 'MB', (sample) => sample.serverMegabytes),
    flat('memory of inspection processes', 'MB', (sample) => sample.childrenMegabytes),
    flat('open descriptors', '', (sample) => sample.descriptors),
    rowWithTarget(
      {
        what: 'peak memory of all processes',
        measured: `${formatFigure(peak)} MB`,
        reference: 'limit 1,000 MB',
        ratio: peak / 1000,
      },
      { atMost: 1 },
    ),
    rowWithTarget(
      {
        what: 'p99 of status under load',
        measured: `${formatFigure(p99)} ms`,
        reference: `idle: ${formatFigure(idleP99)} ms`,
        ratio: p99 / idleP99,
      },
      { atMost: 5 },
    ),
    rowWithTarget(
      {
        what: 'median of status, second half',
        measured: `${formatFigure(late ?? 0)} ms`,
        reference: `first half: ${formatFigure(early ?? 0)} ms`,
        ratio: (late ?? 0) / (early ?? 1),
      },
      { atMost: 1.2 },
    ),
    rowWithTarget(
      {
        what: 'failed requests',
        measured: `${load.failed} of ${load.requests.toLocaleString('en-US')}`,
        reference: 'none',
        ratio: load.failed,
      },
      { atMost: 0 },
    ),
    rowWithoutTarget({
      what: 'verify --store afterwards',
      measured: isClean ? 'clean' : 'NOT CLEAN',
      reference: '–',
      ratio: undefined,
    }),
  ];
}

function milliseconds({ milliseconds: value }: Latency): number {
  return value;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
