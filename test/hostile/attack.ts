import { openAsBlob } from 'node:fs';
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { mediaTypeOf } from '../../src/dataset/media.js';
import { limitsOf } from '../../src/service/inspection/limited-process.js';
import type { Api } from '../harness/api.js';
import type { TestServer } from '../harness/server.js';
import { cpuSecondsOf } from './observers.js';

/** Files of at least this size are sent through a signed link. */
const LINK_BYTES = 8_000_000;

/** What a file cost, and what became of it. */
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

interface Target {
  readonly api: Api;
  readonly id: string;
  readonly filename: string;
}

/** Uploads a file as a client does, directly or through a link. Rejects if the connection breaks. */
export async function sendFile(server: TestServer, { api, id, filename }: Target, path: string): Promise<Verdict> {
  const { size: sizeBytes } = await stat(path);
  const body = await openAsBlob(path, { type: 'application/octet-stream' });
  const url = sizeBytes < LINK_BYTES ? undefined : await api.link(id, filename, sizeBytes);
  const form = new FormData();
  form.append('file', body, filename);
  const pid = server.process.pid!;
  const [startedAt, cpuBefore] = [performance.now(), cpuSecondsOf(pid)];
  const response =
    url === undefined
      ? await api.raw('POST', `/${id}/upload`, { body: form })
      : await fetch(url, { method: 'PUT', body });
  const { error_message: message } = (await response.json()) as { error_message?: string };
  const seconds = (performance.now() - startedAt) / 1000;
  return { filename, sizeBytes, status: response.status, message, seconds, cpuSeconds: cpuSecondsOf(pid) - cpuBefore };
}

/** Sends a file again, as the answer says, where a busy machine could not check it in time. */
export async function sendPatiently(server: TestServer, to: Target, path: string): Promise<Verdict> {
  let verdict = await sendFile(server, to, path);
  for (let repeats = 0; verdict.status === 503 && repeats < 3; repeats++) verdict = await sendFile(server, to, path);
  return verdict;
}

/** ffmpeg's share for a clip beyond that of the inspection, which is answered with it. */
const DECODE_SECONDS = 30;
/** Meanwhile the server receives files and starts processes. */
const GENEROUS = 2;

/** The processor time that all slots may use while one file is inspected. */
function maxSecondsOf({ filename, sizeBytes }: { filename: string; sizeBytes: number }): number {
  const { kind } = mediaTypeOf(filename)!;
  const { maxCpuSeconds } = limitsOf({ kind, sizeBytes });
  const slots = Math.max(2, availableParallelism());
  return GENEROUS * slots * (maxCpuSeconds + (kind === 'video' ? DECODE_SECONDS : 0));
}

/** What to do comes after what is wrong. */
const ADVICE = /[.:] .*\b(?:upload|save|export|convert|check|scale|remove)\b/i;

/** Any verdict on such a file is right if it comes in time and says what to do. */
export function faultsOfVerdict({ filename, sizeBytes, status, message = '', cpuSeconds }: Verdict): string[] {
  const faults: string[] = [];
  if (![200, 202, 422].includes(status)) faults.push(`is answered ${status} (${message})`);
  if (status === 422 && !message.includes(filename)) faults.push(`is refused without its name: ${message}`);
  if (status === 422 && !ADVICE.test(message)) faults.push(`is refused without advice: ${message}`);
  const limit = maxSecondsOf({ filename, sizeBytes });
  if (cpuSeconds > limit) faults.push(`takes ${cpuSeconds.toFixed(1)} s of the processors, more than ${limit} s`);
  return faults.map((fault) => `${filename} ${fault}`);
}
