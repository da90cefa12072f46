import { expect, test } from 'vitest';
import { discardServer, eventually, startServer } from '../harness/server.js';

const TIMES = 30;

/** Prints the most that any signal of the process keeps, listeners or signals that depend on it, for each SIGUSR2. */
const PRELOAD = `
import { getEventListeners } from 'node:events';
import { writeSync } from 'node:fs';
const signals = [];
globalThis.AbortController = class extends AbortController {
  constructor() {
    super();
    signals.push(new WeakRef(this.signal));
  }
};
const keptBy = (signal) => {
  const dependents = Object.getOwnPropertySymbols(signal).filter(({ description }) => /Depend[ae]ntSignals/.test(description));
  return Math.max(getEventListeners(signal, 'abort').length, ...dependents.map((name) => signal[name]?.size ?? 0));
};
process.on('SIGUSR2', () => {
  const alive = signals.map((signal) => signal.deref()).filter((signal) => signal !== undefined);
  writeSync(1, 'kept: ' + Math.max(...alive.map(keptBy)) + '\\n');
});`;

test('requests that wait, uploads and streams of events leave nothing on the signals of a server', async () => {
  const server = await startServer(
    {},
    { env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(PRELOAD)}` } },
  );
  try {
    const api = await server.api();
    const id = await api.newDataset();
    const times = <T>(work: (i: number) => Promise<T>) => Promise.all(Array.from({ length: TIMES }, (_, i) => work(i)));
    const leaving = new AbortController();
    const streams = await times(() => api.raw('GET', `/${id}/events?linked=true`, { signal: leaving.signal }));
    const all = await times(() => api.raw('GET', '/events', { signal: leaving.signal }));
    const bodies = [...streams, ...all].map((response) => response.text().catch(() => 'ended'));
    for (let i = 0; i < TIMES; i++) expect((await api.upload(id, 'a.txt', `caption ${i}`)).status).toBe(200);
    const waited = await times(() => api.status(id, '?wait=0.01'));
    expect(new Set(waited.map(({ status }) => status))).toEqual(new Set([200]));
    leaving.abort();
    expect(new Set(await Promise.all(bodies))).toEqual(new Set(['ended']));
    await eventually(() => {
      server.process.kill('SIGUSR2');
      const kept = server
        .output()
        .match(/(?<=kept: )\d+/g)
        ?.at(-1);
      return kept !== undefined && Number(kept) < 5 ? true : undefined;
    });
  } finally {
    await discardServer(server);
  }
});
