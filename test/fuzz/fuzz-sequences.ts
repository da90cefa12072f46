import fc from 'fast-check';
import type { WireRevisionPage } from '../../src/api/history-schemas.js';
import type { WireCaption, WireDataset, WireDatasetWithFiles, WireManifest } from '../../src/api/schemas.js';
import { type Api, put } from '../harness/api.js';
import { discardServer, startServer } from '../harness/server.js';
import { expectSame, failureOf, type Run } from './check.js';
import { contentFor, sha256 } from './contents.js';
import { type Change, DatasetModel, type Expected, type Link, type Outcome } from './dataset-model.js';
import { type Step, step } from './steps.js';

/** Changes datasets in random order, and compares them with a model. @returns the failing sequence; `undefined` if there was none */
export const fuzzSequences = (run: Run): Promise<string | undefined> =>
  withApi((api) => {
    const sequences = fc.array(step, { maxLength: 30, size: 'max' });
    return failureOf(sequences, run, { names: ['sequences', 'steps'] }, (steps) => runSteps(api, steps));
  });

/** Runs the steps of one sequence, as `fuzzSequences` prints it. @throws Error where the server differs from the model */
export async function runSequence(text: string): Promise<void> {
  await withApi((api) => runSteps(api, JSON.parse(text) as Step[]));
}

async function withApi<T>(use: (api: Api) => Promise<T>): Promise<T> {
  const server = await startServer({ 'caption-grace-seconds': 0 });
  try {
    return await use(await server.api());
  } finally {
    await discardServer(server);
  }
}

async function runSteps(api: Api, steps: readonly Step[]): Promise<void> {
  const run = await SequenceOfChanges.start(api);
  for (const one of steps) {
    if (one.do === 'remove') await run.remove();
    else if (one.do === 'compare') await run.compare();
    else if (one.do === 'together') await run.change(one.changes);
    else await run.change([one]);
    await run.compareStatus();
  }
  await run.compare();
  await run.remove();
}

class SequenceOfChanges {
  readonly #api: Api;
  readonly #links: Link[] = [];
  /** The links when the current changes began; only these are in reach of them. */
  #known: readonly Link[] = [];
  #dataset: { id: string; name: string };
  #model = new DatasetModel();

  private constructor(api: Api, dataset: { id: string; name: string }) {
    this.#api = api;
    this.#dataset = dataset;
  }

  static async start(api: Api): Promise<SequenceOfChanges> {
    return new SequenceOfChanges(api, (await api.create()).body);
  }

  /** Makes changes at once. Only the first change to each file is made, so that their order does not matter. */
  async change(changes: readonly Change[]): Promise<void> {
    this.#known = [...this.#links];
    const taken = new Set<string>();
    const independent = changes.filter((one) => {
      const names = this.#namesOf(one);
      const isFree = names.length > 0 && names.every((name) => !taken.has(name));
      for (const name of names) taken.add(name);
      return isFree;
    });
    const answers = await Promise.all(independent.map((one) => this.#send(one)));
    for (const [index, one] of independent.entries()) {
      const answer = answers[index]!;
      const expected = this.#apply(one, answer);
      const what = `${JSON.stringify(one)} was answered ${answer.status}`;
      if (answer.status !== expected) throw new Error(`${what}, not ${expected}: ${JSON.stringify(answer.body)}`);
    }
  }

  #namesOf(one: Change): string[] {
    if (one.do === 'put') return this.#known.length === 0 ? [] : [this.#linkOf(one).filename];
    const listed = 'files' in one ? one.files : 'captions' in one ? one.captions : undefined;
    const sent = listed
      ? Object.keys(listed)
      : 'filenames' in one
        ? one.filenames
        : 'filename' in one
          ? [one.filename]
          : [];
    const all = sent.map((name) => name.normalize('NFC'));
    return one.do === 'delete files' || one.do === 'withdraw uploads' ? [...new Set(all)] : all;
  }

  #linkOf({ link: index }: { link: number }): Link {
    return this.#known[index % this.#known.length]!;
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
      case 'delete files': {
        const conditional = Object.entries(one.files).flatMap(([name, condition]) =>
          condition === 'any' ? [] : [[name, etagOf(name, condition)]],
        );
        const ifMatch = Object.fromEntries(conditional);
        return this.#api.json('DELETE', `/${id}/files`, { filenames: Object.keys(one.files), ifMatch });
      }
      case 'withdraw uploads':
        return this.#api.json('DELETE', `/${id}/uploads`, { filenames: one.filenames });
    }
  }

  #apply(one: Change, { body }: { body: object }): number {
    if (one.do === 'put') {
      const target = this.#linkOf(one);
      return this.#model.put(target, contentFor(target.filename, one.content));
    }
    if (one.do === 'captions') return expectOutcomes(this.#model.saveCaptions(one.captions), body);
    if (one.do === 'delete files') return expectOutcomes(this.#model.deleteFiles(one.files), body);
    if (one.do === 'withdraw uploads') return expectOutcomes(this.#model.withdrawUploads(one.filenames), body);
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
    const { revisions } = (await this.#api.request<WireRevisionPage>('GET', `/${id}/revisions?limit=1`)).body;
    expectSame('the manifest', manifest, {
      dataset_id: id,
      name,
      revision: revisions[0]?.number ?? 0,
      status: status.status,
      ...(status.digest && { digest: status.digest }),
      files: status.files,
    } satisfies WireManifest);
    expectSame('the pages', await this.#pages(), status.files);
    const { files } = this.#model;
    for (const [filename, bytes] of files) {
      const response = await this.#api.raw('GET', `/${id}/files/${encodeURIComponent(filename)}`);
      expectSame(`the bytes of ${filename}`, sha256(Buffer.from(await response.arrayBuffer())), sha256(bytes));
    }
    const zip = Buffer.from(await (await this.#api.raw('GET', `/${id}/zip`)).arrayBuffer());
    for (const [filename, bytes] of files) {
      if (!zip.includes(bytes) || !zip.includes(filename)) throw new Error(`the archive lacks ${filename}`);
    }
    const captions = [...files].filter(([filename]) => filename.endsWith('.txt'));
    if (captions.length === 0) return;
    const { body } = await this.#api.json<{ captions: WireCaption[] }>('POST', `/${id}/captions`, {
      filenames: captions.map(([filename]) => filename),
    });
    const texts = captions.map(([filename, bytes]) => [filename, sha256(bytes), bytes.toString()]);
    const read = body.captions.map((caption) => [caption.filename, caption.sha256, caption.text]);
    expectSame('the captions', read, texts);
  }

  async #pages(): Promise<WireDatasetWithFiles['files']> {
    const files: WireDatasetWithFiles['files'] = [];
    let after = '';
    do {
      const path = `/${this.#dataset.id}/files?limit=2&after=${encodeURIComponent(after)}`;
      const { body } = await this.#api.request<{ files: typeof files; next_after: string | null }>('GET', path);
      files.push(...body.files);
      after = body.next_after ?? '';
    } while (after !== '');
    return files;
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

/** Compares what became of each file. @returns the status that the answer must have */
function expectOutcomes(outcomes: number | readonly Outcome[], body: object): number {
  if (typeof outcomes === 'number') return outcomes;
  const [results] = Object.values(body) as [Record<string, unknown>[]];
  const seen = results.map((result): Outcome => {
    if (result.saved === true || result.deleted === true || result.withdrawn === true) return 'done';
    if (result.problem !== undefined) return 'rejected';
    return result.current === undefined ? 'missing' : 'conflict';
  });
  expectSame('what became of each file', seen, outcomes);
  return 200;
}

function summaryOf(dataset: WireDataset | undefined) {
  if (dataset === undefined) return undefined;
  const { id, name, status, created_at, updated_at, size_bytes, counts } = dataset;
  return { id, name, status, created_at, updated_at, size_bytes, counts };
}
