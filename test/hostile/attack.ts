import { openAsBlob } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Api } from '../harness/api.js';
import { BASE_PATH } from '../../src/api/base-path.js';

/** Files of at least this size are sent through a signed link. */
const LINK_BYTES = 8_000_000;

export interface Verdict {
  readonly filename: string;
  readonly sizeBytes: number;
  readonly status: number;
  /** Of a refusal. */
  readonly message: string | undefined;
  readonly seconds: number;
}

/** Uploads a file as a client does, directly or through a link. Rejects if the connection breaks. */
export async function sendFile(
  api: Api,
  id: string,
  path: string,
  filename: string,
  signal?: AbortSignal,
): Promise<Verdict> {
  const { size: sizeBytes } = await stat(path);
  const blob = await openAsBlob(path, { type: 'application/octet-stream' });
  const aborting = signal === undefined ? {} : { signal };
  const startedAt = performance.now();
  let response: Response;
  if (sizeBytes < LINK_BYTES) {
    const body = new FormData();
    body.append('file', blob, filename);
    const headers = { authorization: `Bearer ${api.token}` };
    response = await fetch(`${api.url}${BASE_PATH}/${id}/upload`, { method: 'POST', headers, body, ...aborting });
  } else {
    const url = await api.link(id, filename, sizeBytes);
    response = await fetch(url, { method: 'PUT', body: blob, ...aborting });
  }
  const answer = (await response.json()) as { error_message?: string };
  const seconds = (performance.now() - startedAt) / 1000;
  return { filename, sizeBytes, status: response.status, message: answer.error_message, seconds };
}

/** Uploads of an account that does nothing else: each one, after the other, is timed. */
export class SteadyUploads {
  readonly seconds: number[] = [];
  readonly failures: string[] = [];
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(api: Api, id: string, picture: Buffer) {
    this.#running = (async () => {
      for (let index = 0; !this.#isOver; index++) {
        const startedAt = performance.now();
        const { status, body } = await api.upload(id, `ordinary_${index % 20}.jpg`, picture);
        if (status !== 200) this.failures.push(`${status} ${body.error_message}`);
        this.seconds.push((performance.now() - startedAt) / 1000);
      }
    })().catch((error) => {
      this.failures.push(String(error));
    });
  }

  /** The times since the last call. */
  take(): number[] {
    return this.seconds.splice(0);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}
