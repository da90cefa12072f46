import { openAsBlob } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { Api } from '../harness/api.js';
import type { TestServer } from '../harness/server.js';
import { cpuSecondsOf } from './observers.js';

/** Between the uploads of an account that works calmly. */
const PAUSE_MS = 100;

/** Files of at least this size are sent through a signed link. */
const LINK_BYTES = 8_000_000;

export interface Verdict {
  readonly filename: string;
  readonly sizeBytes: number;
  readonly status: number;
  /** Of a refusal. */
  readonly message: string | undefined;
  readonly seconds: number;
  /** Processor time that the server and its processes used meanwhile, for other files too. */
  readonly cpuSeconds: number;
}

/** Uploads a file as a client does, directly or through a link. Rejects if the connection breaks. */
export async function sendFile(
  server: TestServer,
  to: { api: Api; id: string; filename: string },
  path: string,
  signal?: AbortSignal,
): Promise<Verdict> {
  const { api, id, filename } = to;
  const { size: sizeBytes } = await stat(path);
  const blob = await openAsBlob(path, { type: 'application/octet-stream' });
  const url = sizeBytes < LINK_BYTES ? undefined : await api.link(id, filename, sizeBytes);
  // Not the signal itself: fetch keeps a listener on it for as long as it lives.
  const abort = new AbortController();
  const onAbort = () => abort.abort();
  signal?.addEventListener('abort', onAbort, { once: true });
  signal?.throwIfAborted();
  const pid = server.process.pid!;
  const [startedAt, cpuBefore] = [performance.now(), cpuSecondsOf(pid)];
  try {
    const response =
      url === undefined
        ? await api.raw('POST', `/${id}/upload`, { body: formOf(blob, filename), signal: abort.signal })
        : await fetch(url, { method: 'PUT', body: blob, signal: abort.signal });
    const { error_message: message } = (await response.json()) as { error_message?: string };
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      filename,
      sizeBytes,
      status: response.status,
      message,
      seconds,
      cpuSeconds: cpuSecondsOf(pid) - cpuBefore,
    };
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

function formOf(blob: Blob, filename: string): FormData {
  const form = new FormData();
  form.append('file', blob, filename);
  return form;
}

export interface TimedUpload {
  readonly seconds: number;
  /** As in `Verdict`. */
  readonly cpuSeconds: number;
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
        const pid = server.process.pid!;
        const [startedAt, cpuBefore] = [performance.now(), cpuSecondsOf(pid)];
        const { status, body } = await api.upload(id, `ordinary_${index % 20}.jpg`, picture);
        if (status !== 200) this.failures.push(`${status} ${body.error_message}`);
        const seconds = (performance.now() - startedAt) / 1000;
        this.uploads.push({ seconds, cpuSeconds: cpuSecondsOf(pid) - cpuBefore });
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
