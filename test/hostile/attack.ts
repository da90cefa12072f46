import { openAsBlob } from 'node:fs';
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { mediaTypeOf } from '../../src/dataset/media.js';
import { limitsOf } from '../../src/service/inspection/limited-process.js';
import type { Api } from '../harness/api.js';
import type { TestServer } from '../harness/server.js';
import { cpuSecondsOf } from './observers.js';

/** Between the uploads of an account that works calmly. */
const PAUSE_MS = 100;

/** Files of at least this size are sent through a signed link. */
const LINK_BYTES = 8_000_000;

export interface TimedUpload {
  readonly seconds: number;
  /** Processor time that the server and its processes used meanwhile, for other files too. */
  readonly cpuSeconds: number;
}

export interface Verdict extends TimedUpload {
  readonly filename: string;
  readonly sizeBytes: number;
  readonly status: number;
  /** Of a refusal. */
  readonly message: string | undefined;
}

async function timed<T>(server: TestServer, work: () => Promise<T>): Promise<T & TimedUpload> {
  const pid = server.process.pid!;
  const [startedAt, cpuBefore] = [performance.now(), cpuSecondsOf(pid)];
  const result = await work();
  return {
    ...result,
    seconds: (performance.now() - startedAt) / 1000,
    cpuSeconds: cpuSecondsOf(pid) - cpuBefore,
  };
}

/** Uploads a file as a client does, directly or through a link. Rejects if the connection breaks. */
export async function sendFile(
  server: TestServer,
  { api, id, filename }: { api: Api; id: string; filename: string },
  path: string,
  signal?: AbortSignal,
): Promise<Verdict> {
  const { size: sizeBytes } = await stat(path);
  const body = await openAsBlob(path, { type: 'application/octet-stream' });
  const url = sizeBytes < LINK_BYTES ? undefined : await api.link(id, filename, sizeBytes);
  const form = new FormData();
  form.append('file', body, filename);
  // Not the signal itself: fetch keeps a listener on it for as long as it lives.
  const abort = new AbortController();
  const onAbort = () => abort.abort();
  signal?.addEventListener('abort', onAbort, { once: true });
  signal?.throwIfAborted();
  try {
    return await timed(server, async () => {
      const response =
        url === undefined
          ? await api.raw('POST', `/${id}/upload`, { body: form, signal: abort.signal })
          : await fetch(url, { method: 'PUT', body, signal: abort.signal });
      const { error_message: message } = (await response.json()) as { error_message?: string };
      return { filename, sizeBytes, status: response.status, message };
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** ffmpeg's share for a clip beyond that of the inspection, which is answered with it. */
const DECODE_SECONDS = 30;
/** Meanwhile the server receives files and starts processes. */
const GENEROUS = 2;

/** The processor time that all slots may use while one file is inspected. */
export function maxSecondsOf({ filename, sizeBytes }: { filename: string; sizeBytes: number }): number {
  const { kind } = mediaTypeOf(filename)!;
  const { maxCpuSeconds } = limitsOf({ kind, sizeBytes });
  const slots = Math.max(2, availableParallelism());
  return GENEROUS * slots * (maxCpuSeconds + (kind === 'video' ? DECODE_SECONDS : 0));
}

/** Uploads of an account that does nothing else, one after the other. */
export class SteadyUploads {
  readonly uploads: TimedUpload[] = [];
  readonly failures: string[] = [];
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(server: TestServer, { api, id, picture }: { api: Api; id: string; picture: Buffer }) {
    this.#running = (async () => {
      for (let index = 0; !this.#isOver; index++) {
        const upload = await timed(server, () => api.upload(id, `ordinary_${index % 20}.jpg`, picture));
        if (upload.status !== 200) this.failures.push(`${upload.status} ${upload.body.error_message}`);
        this.uploads.push(upload);
        await wait(PAUSE_MS);
      }
    })().catch((error) => {
      this.failures.push(String(error));
    });
  }

  /** The uploads since the last call. */
  take(): TimedUpload[] {
    return this.uploads.splice(0);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}
