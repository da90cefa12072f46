import { readFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { Api, put } from '../../test/harness/api.js';
import { onJob } from '../child.js';

/** Mixed load for so many seconds: each client sends its next request as soon as it has the answer to the last one. */
export interface SoakJob {
  readonly url: string;
  /** A token of an account for each client, so that no limit of one account slows all. */
  readonly tokens: readonly string[];
  readonly seconds: number;
  /** Paths of images. */
  readonly images: readonly string[];
}

export interface SoakLoadResult {
  /** Answered requests in each second. */
  readonly perSecond: readonly number[];
  readonly requests: number;
  /** The first answers that were neither a success nor 429, and their number. */
  readonly failures: readonly string[];
  readonly failed: number;
}

/** Files of each client. Names are used again, so that the datasets stay as large as they are after the first minute. */
const STEMS = 200;
const MAX_FAILURES = 10;
const LOW_PRIORITY = 10;

// The processor time of the clients is not the server's.
setPriority(LOW_PRIORITY);

onJob(async ({ url, tokens, seconds, images }: SoakJob): Promise<SoakLoadResult> => {
  const pictures = await Promise.all(images.map((path) => readFile(path)));
  const startedAt = performance.now();
  const perSecond: number[] = Array(Math.ceil(seconds)).fill(0);
  const failures: string[] = [];
  let [requests, failed] = [0, 0];
  const isOver = () => performance.now() - startedAt >= seconds * 1000;
  const answered = async (what: string, { status, body }: { status: number; body: unknown }) => {
    requests++;
    const second = Math.floor((performance.now() - startedAt) / 1000);
    perSecond[second] = (perSecond[second] ?? 0) + 1;
    if (status === 429) await wait(1000);
    else if (status !== 200) {
      failed++;
      if (failures.length < MAX_FAILURES) failures.push(`${what}: ${status} ${JSON.stringify(body)}`);
    }
  };
  const work = async (token: string, client: number) => {
    const api = new Api(url, token);
    const id = await api.newDataset(`soak ${client}`);
    const download = async (filename: string) => {
      const response = await api.raw('GET', `/${id}/files/${filename}`);
      await response.arrayBuffer();
      await answered('download', { status: response.status, body: {} });
    };
    for (let i = 0; !isOver(); i++) {
      const stem = `image_${i % STEMS}`;
      const [picture, caption] = [pictures[i % pictures.length]!, Buffer.from(`a red wagon on siding ${i}`)];
      if (i % 2 === 0) await answered('direct upload', await api.upload(id, `${stem}.jpg`, picture));
      else await answered('signed PUT', await put(await api.link(id, `${stem}.jpg`, picture.length), picture));
      await answered('caption', await api.upload(id, `${stem}.txt`, caption));
      await answered('status', await api.status(id));
      await download(`${stem}.jpg`);
      if (i % 5 === 0) await answered('list', await api.list());
      if (i % 7 === 0) await answered('edit', await api.upload(id, `${stem}.txt`, `${caption}, edited`));
      if (i % 11 === 0) await answered('delete', await api.request('DELETE', `/${id}/files/${stem}.txt`));
    }
  };
  await Promise.all(tokens.map(work));
  return { perSecond, requests, failures, failed };
});
