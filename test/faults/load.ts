import { setTimeout as wait } from 'node:timers/promises';
import type { WireSavedCaptions } from '../../src/api/schemas.js';
import type { WireDataset, WireDatasetWithFiles, WireUploadLink } from '../../src/api/schemas.js';
import * as media from '../fixtures/media.js';
import type { Balancer, Response } from '../harness/balancer.js';
import { Follower } from '../harness/follower.js';
import { eventually } from '../harness/server.js';
import { contentOf, sha256 } from './contents.js';
import { ABSENT, Ledger } from './ledger.js';

/** Time for a poll or an event to show a change, lost connections and leases included. */
const SHOWN_MS = 180_000;

/** The answers that a worker has seen about one of its datasets. */
export interface Owed {
  readonly id: string;
  readonly name: string;
  readonly files: Ledger;
  /** The final state; `uncertain` after an abandoned attempt. */
  status: 'READY' | 'FAILED' | 'removed' | 'uncertain';
}

/**
 * Workers that make every kind of request, each sequentially and on its own datasets, so that its answers determine the
 * expected states. They retry through faults as good clients do, and record every violation they see.
 */
export class Load {
  readonly owed: Owed[] = [];
  /** Violations that the workers saw. */
  readonly violations: string[] = [];
  /** Acknowledged requests so far. */
  acknowledged = 0;
  readonly #balancer: Balancer;
  readonly #token: string;
  readonly #workers: Promise<void>[];
  #isOver = false;

  constructor(balancer: Balancer, options: { token: string; workers: number }) {
    this.#balancer = balancer;
    this.#token = options.token;
    this.#workers = Array.from({ length: options.workers }, (_, worker) => this.#work(worker));
  }

  /** Waits until this many more requests are acknowledged. */
  async progress(acknowledged: number, timeoutMs?: number): Promise<void> {
    const goal = this.acknowledged + acknowledged;
    await eventually(() => this.acknowledged >= goal || undefined, timeoutMs);
  }

  /** Waits until every worker has finished its current request. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#workers);
  }

  async #work(worker: number): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      await this.#round(worker, round).catch((error) => {
        this.violations.push(`worker ${worker}, round ${round}: ${error instanceof Error ? error.stack : error}`);
      });
    }
  }

  /** The life of a dataset: files uploaded in every way, one of them damaged, then replaced, removed and corrected. */
  async #round(worker: number, round: number): Promise<void> {
    const name = `worker ${worker} round ${round}`;
    const id = await this.#create(name);
    const owed: Owed = { id, name, files: new Ledger(), status: 'uncertain' };
    this.owed.push(owed);
    const follower = new Follower(id, { instances: () => this.#balancer.instances, token: this.#token, first: worker });
    const content = (filename: string, version = 1) => contentOf(filename, `${name} ${filename} ${version}`, 20_000);
    try {
      for (const filename of ['a.jpg', 'a.txt']) await this.#upload(owed, filename, content(filename));
      const good = ['b.jpg', 'b.txt'].map((filename): [string, Buffer] => [filename, content(filename)]);
      const html = Buffer.from(media.damaged.html());
      const failed = await this.#bring(owed, new Map([...good, ['c.jpg', html]]), { bad: 'c.jpg' });
      this.#must(failed.status === 'FAILED', `${name} has a bad file and is ${failed.status}`);
      if (round % 4 === 3) {
        owed.status = 'FAILED';
        return;
      }
      if (round % 2 === 0) await this.#remove(owed, 'c.jpg');
      else for (const filename of ['c.jpg', 'c.txt']) await this.#upload(owed, filename, content(filename));
      await this.#bring(owed, new Map([['a.jpg', content('a.jpg', 2)]]));
      await this.#upload(owed, 'b.txt', content('b.txt', 2));
      await this.#edit(owed, 'a.txt', `edited ${name}`);
      await this.#expect([200], 'GET', `/${id}/files/a.jpg/thumbnail`);
      await this.#upload(owed, 'd.txt', content('d.txt'));
      await this.#remove(owed, 'd.txt');
      const ready = await this.#finalized(owed);
      this.#must(ready.status === 'READY', `${name} is complete and ${ready.status}: ${JSON.stringify(ready)}`);
      owed.status = 'READY';
      const { images } = ready.counts;
      await follower.sees(({ status, counts }) => status === 'READY' && counts.images === images, SHOWN_MS);
      if (round % 4 !== 2) return;
      owed.status = 'uncertain';
      await this.#expect([200, 404], 'DELETE', `/${id}`);
      owed.status = 'removed';
    } finally {
      await follower.stop();
    }
  }

  /** A taken name is this worker's own: an earlier answer was lost. */
  async #create(name: string): Promise<string> {
    const created = await this.#expect([200, 409], 'POST', '', { name });
    if (created.status === 200) return json<WireDataset>(created).id;
    const { datasets } = json<{ datasets: WireDataset[] }>(
      await this.#expect([200], 'GET', `?name=${encodeURIComponent(name)}`),
    );
    return datasets[0]!.id;
  }

  async #upload({ id, files }: Owed, filename: string, bytes: Buffer): Promise<void> {
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(bytes)]), filename);
    await files.attempt(filename, sha256(bytes), async () => {
      await this.#expect([200], 'POST', `/${id}/upload`, form);
    });
  }

  async #edit({ id, files }: Owed, filename: string, text: string): Promise<void> {
    await files.attempt(filename, sha256(Buffer.from(text)), async () => {
      const answer = await this.#expect([200], 'PUT', `/${id}/captions`, { captions: [{ filename, text }] });
      const [saved] = json<WireSavedCaptions>(answer).captions;
      if (saved?.saved !== true) throw new Error(`not saved: ${answer.body}`);
    });
  }

  /** After a lost answer there may be nothing left to remove. */
  async #remove({ id, files }: Owed, filename: string): Promise<void> {
    await files.attempt(filename, ABSENT, async () => {
      await this.#expect([200, 404], 'DELETE', `/${id}/files/${filename}`);
    });
  }

  /** Reserves files, uploads them to the store, and polls until they are finalized. */
  async #bring(
    owed: Owed,
    contents: ReadonlyMap<string, Buffer>,
    options: { bad?: string } = {},
  ): Promise<WireDatasetWithFiles> {
    const { id, name, files } = owed;
    const sizes = Object.fromEntries([...contents].map(([filename, bytes]) => [filename, bytes.length]));
    const reserved = await this.#expect([200], 'POST', `/${id}/get-upload-endpoint`, { filenameToByteSize: sizes });
    const { uploads } = json<{ uploads: Record<string, WireUploadLink> }>(reserved);
    const early = json<WireDatasetWithFiles>(await this.#expect([200], 'GET', `/${id}/status`));
    this.#must(early.status !== 'READY', `${name} is READY though reserved files were not uploaded`);
    let finalized: WireDatasetWithFiles | undefined;
    const bringAll = async () => {
      for (const [filename, bytes] of contents) {
        const { status, body } = await this.#balancer.put(uploads[filename]!.upload_url, bytes);
        if (status !== 200) throw new Error(`the store answered ${status} to ${filename}: ${body}`);
        this.acknowledged++;
      }
      finalized = await this.#finalized(owed);
    };
    const good = [...contents].filter(([filename]) => filename !== options.bad);
    await good.reduce<() => Promise<void>>(
      (work, [filename, bytes]) =>
        () =>
          files.attempt(filename, sha256(bytes), work),
      bringAll,
    )();
    return finalized!;
  }

  /** Polls as a client does, sometimes with `wait`. */
  async #finalized({ id, name }: Owed): Promise<WireDatasetWithFiles> {
    const deadline = performance.now() + SHOWN_MS;
    for (let poll = 0; performance.now() < deadline; poll++) {
      const path = poll % 2 === 0 ? `/${id}/status` : `/${id}/status?wait=2`;
      const dataset = json<WireDatasetWithFiles>(await this.#expect([200], 'GET', path));
      if (dataset.status !== 'UPLOADING') return dataset;
      await wait(100);
    }
    throw new Error(`${name} is UPLOADING for ever`);
  }

  async #expect(
    statuses: readonly number[],
    method: string,
    path: string,
    body?: FormData | object,
  ): Promise<Response> {
    const answer = await this.#balancer.request(method, path, { body });
    if (!statuses.includes(answer.status))
      throw new Error(`${method} ${path} was answered ${answer.status}: ${answer.body}`);
    this.acknowledged++;
    return answer;
  }

  #must(isSo: boolean, otherwise: string): void {
    if (!isSo) this.violations.push(otherwise);
  }
}

function json<T>({ body }: Response): T {
  return JSON.parse(body.toString()) as T;
}
