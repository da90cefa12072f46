import fc from 'fast-check';
import type { WireDataset, WireDatasetWithFiles, WireSavedCaptions } from '../../src/api/schemas.js';
import { type Api, put } from '../harness/api.js';
import { discardServer, startServer } from '../harness/server.js';
import { expectSame, failureOf, type Run } from './check.js';
import { contentFor } from './contents.js';
import { type Change, DatasetModel, type Expected, type Link, type Outcome } from './dataset-model.js';
import { type Step, step } from './steps.js';
import { sha256 } from '../harness/sha256.js';

/** Changes datasets in random order, and compares them with a model. @returns the failing sequence; `undefined` if there was none */
export async function fuzzSequences(run: Run): Promise<string | undefined> {
  const server = await startServer({ 'caption-grace-seconds': 0 });
  try {
    const api = await server.api();
    const sequences = fc.array(step, { maxLength: 30, size: 'max' });
    return await failureOf(sequences, run, 'sequences', (steps) => runSteps(api, steps));
  } finally {
    await discardServer(server);
  }
}

async function runSteps(api: Api, steps: readonly Step[]): Promise<void> {
  const run = await SequenceOfChanges.start(api);
  for (const one of steps) {
    if (one.do === 'remove') await run.remove();
    else if (one.do === 'compare') await run.compare();
    else await run.change(one);
    await run.compareStatus();
  }
  await run.compare();
  await run.remove();
}

class SequenceOfChanges {
  readonly #api: Api;
  readonly #links: Link[] = [];
  #dataset: { id: string; name: string };
  #model = new DatasetModel();

  private constructor(api: Api, dataset: { id: string; name: string }) {
    this.#api = api;
    this.#dataset = dataset;
  }

  static async start(api: Api): Promise<SequenceOfChanges> {
    return new SequenceOfChanges(api, (await api.create()).body);
  }

  async change(one: Change): Promise<void> {
    if (one.do === 'put' && this.#links.length === 0) return;
    const answer = await this.#send(one);
    const expected = this.#apply(one, answer);
    const what = `${JSON.stringify(one)} was answered ${answer.status}`;
    if (answer.status !== expected) throw new Error(`${what}, not ${expected}: ${JSON.stringify(answer.body)}`);
  }

  #linkOf({ link: index }: { link: number }): Link {
    return this.#links[index % this.#links.length]!;
  }

  #send(one: Change): Promise<{ status: number; body: object }> {
    const { id } = this.#dataset;
    switch (one.do) {
      case 'upload': {
        const form = new FormData();
        form.append('file', new Blob([contentFor(one.filename, one.content).bytes]), one.filename);
        const headers = conditionHeaders(one.filename, one.expected);
        return this.#api.request('POST', `/${id}/upload`, { body: form, headers });
      }
      case 'reserve': {
        const sizes = Object.entries(one.files).map(([name, key]) => [name, contentFor(name, key).bytes.length]);
        return this.#api.links(id, Object.fromEntries(sizes));
      }
      case 'put': {
        const { url, filename: name } = this.#linkOf(one);
        return put(url, contentFor(name, one.content).bytes);
      }
      case 'delete':
        return this.#api.request('DELETE', `/${id}/files/${encodeURIComponent(one.filename)}`, {
          headers: conditionHeaders(one.filename, one.expected),
        });
      case 'withdraw':
        return this.#api.request('DELETE', `/${id}/uploads/${encodeURIComponent(one.filename)}`);
      case 'captions': {
        const captions = Object.entries(one.captions).map(([name, { content: key, expected: condition }]) => ({
          filename: name,
          // No JSON text has the bytes that are not a caption.
          text: key === 'unfit' ? 'a\0b' : contentFor(name, key).bytes.toString(),
          ...(condition !== undefined && { ifMatch: etagOf(name, condition) }),
        }));
        return this.#api.json('PUT', `/${id}/captions`, { captions });
      }
    }
  }

  #apply(one: Change, { body }: { body: object }): number {
    if (one.do === 'put') {
      const target = this.#linkOf(one);
      return this.#model.put(target, contentFor(target.filename, one.content));
    }
    if (one.do === 'captions') return expectOutcomes(this.#model.saveCaptions(one.captions), body);
    if (one.do !== 'reserve') return this.#model.apply(one);
    const { uploads = {} } = body as { uploads?: Record<string, { upload_url: string }> };
    return this.#model.reserve(one.files, (name) => {
      const url = uploads[name]?.upload_url;
      if (url === undefined) return undefined;
      const sizeBytes = contentFor(name, one.files[name]!).bytes.length;
      const issued = { url, filename: name.normalize('NFC'), sizeBytes };
      this.#links.push(issued);
      return issued;
    });
  }

  /** Removes the dataset, and goes on with an empty one of the same name. */
  async remove(): Promise<void> {
    const { id, name } = this.#dataset;
    const removed = await this.#api.request('DELETE', `/${id}`);
    expectSame('the answer to the removal', removed.body, { id, deleted: true });
    for (const path of ['/status', '/manifest', '/zip', '/files/a.jpg']) {
      const { status } = await this.#api.request('GET', `/${id}${path}`);
      expectSame(`the status of ${path} after the removal`, status, 404);
    }
    this.#dataset = (await this.#api.create(name)).body;
    this.#model = new DatasetModel();
  }

  async compareStatus(): Promise<WireDatasetWithFiles> {
    const { body } = await this.#api.status(this.#dataset.id);
    const { status, files, digest, awaited = [], counts, size_bytes, error } = body;
    const model = this.#model;
    expectSame('the status', status, model.status);
    const listed = files.map((file) => [file.filename, file.sha256, file.size_bytes]);
    const expected = [...model.files].map(([name, bytes]) => [name, sha256(bytes), bytes.length]);
    expectSame('the files', listed.sort(), expected.sort());
    expectSame('the digest', digest, model.digest);
    expectSame('the pending uploads', awaited.map((one) => one.filename).sort(), model.awaited);
    expectSame('whether there is an error', error !== undefined, model.status === 'FAILED');
    const { pending, rejected, uncaptioned } = counts;
    const modelCounts = { pending: model.awaited.length, rejected: model.rejected, uncaptioned: model.uncaptioned };
    expectSame('the counts', { pending, rejected, uncaptioned }, modelCounts);
    const bytes = [...model.files.values()].reduce((sum, { length }) => sum + length, 0);
    expectSame('the size', size_bytes, bytes);
    return body;
  }

  /** Compares everything that can be read with the model. */
  async compare(): Promise<void> {
    const { id, name } = this.#dataset;
    const status = await this.compareStatus();
    const [listed] = (await this.#api.list(`?name=${encodeURIComponent(name)}`)).body.datasets;
    expectSame('the entry in the list', summaryOf(listed), summaryOf(status));
    const manifest = (await this.#api.manifest(id)).body;
    expectSame(
      'the manifest',
      [manifest.status, manifest.digest, manifest.files],
      [status.status, status.digest, status.files],
    );
    const { body: page } = await this.#api.request<{ files: unknown[] }>('GET', `/${id}/files?limit=2`);
    expectSame('the first page', page.files, status.files.slice(0, 2));
    const zip = Buffer.from(await (await this.#api.raw('GET', `/${id}/zip`)).arrayBuffer());
    for (const [filename, bytes] of this.#model.files) {
      const response = await this.#api.raw('GET', `/${id}/files/${encodeURIComponent(filename)}`);
      expectSame(`the bytes of ${filename}`, sha256(Buffer.from(await response.arrayBuffer())), sha256(bytes));
      if (!zip.includes(bytes) || !zip.includes(filename)) throw new Error(`the archive lacks ${filename}`);
    }
  }
}

/** The ETag that a write expects; null if it expects no file. */
function etagOf(name: string, condition: Expected): string | null {
  return condition === 'absent' ? null : `"${sha256(contentFor(name, condition).bytes)}"`;
}

function conditionHeaders(name: string, condition: Expected | undefined): Record<string, string> {
  if (condition === undefined) return {};
  const etag = etagOf(name, condition);
  return etag === null ? { 'if-none-match': '*' } : { 'if-match': etag };
}

/** Compares what became of each caption. @returns the status that the answer must have */
function expectOutcomes(outcomes: number | readonly Outcome[], body: object): number {
  if (typeof outcomes === 'number') return outcomes;
  const { captions } = body as WireSavedCaptions;
  const seen = captions.map(({ saved, problem }): Outcome => (saved ? 'done' : problem ? 'rejected' : 'conflict'));
  expectSame('what became of each caption', seen, outcomes);
  return 200;
}

function summaryOf(dataset: WireDataset | undefined) {
  if (dataset === undefined) return undefined;
  const { id, name, status, created_at, updated_at, size_bytes, counts } = dataset;
  return { id, name, status, created_at, updated_at, size_bytes, counts };
}
