import { expect } from 'vitest';
import type { WireSavedCaptions } from '../../src/api/schemas.js';
import { type Api, put } from '../harness/api.js';
import { contentOf } from './contents.js';
import { sha256 } from '../harness/sha256.js';

export const ABSENT = 'absent';

/** The SHA-256 of the file of a name, or none. */
export type State = string;

/**
 * The possible states of every name, as far as clients know from the answers. An answer leaves one state; an attempt without
 * an answer leaves two, the one before and the one after.
 */
export class Ledger {
  readonly #possible = new Map<string, ReadonlySet<State>>();
  unanswered = 0;

  possible(name: string): ReadonlySet<State> {
    return this.#possible.get(name) ?? new Set([ABSENT]);
  }

  /** Whether a file is certainly there. */
  isPresent(name: string): boolean {
    return !this.possible(name).has(ABSENT);
  }

  names(): string[] {
    return [...this.#possible.keys()];
  }

  /** Runs an attempt whose acknowledgement makes `outcome` the state; one attempt for a name at a time. */
  async attempt(name: string, outcome: State, act: () => Promise<void>): Promise<void> {
    this.#possible.set(name, new Set([...this.possible(name), outcome]));
    this.unanswered++;
    await act();
    this.unanswered--;
    this.found(name, outcome);
  }

  /** Records a state that was observed while no attempt was in flight. */
  found(name: string, state: State): void {
    this.#possible.set(name, new Set([state]));
  }
}

/** Few names, so that files are overwritten and removed often. */
const STEMS_PER_CLIENT = 5;
const MAX_PADDING_BYTES = 400_000;

/** Direct uploads, uploads through links, overwrites, removals, caption edits, thumbnails and downloads in one dataset. */
export interface MixedLoad {
  readonly api: Api;
  readonly datasetId: string;
  readonly ledger: Ledger;
  readonly onAnswer?: () => unknown;
  /** Statuses of failures that the test causes. After one, both states of the file are possible. */
  readonly failures?: readonly number[];
  /** `api` repeats requests, so that an answer may be about a change that an earlier try has made. */
  readonly isRepeated?: boolean;
  /** Sends bytes to a link, and returns once the dataset has them; by default with a PUT to the service. */
  readonly putLink?: (url: string, bytes: Buffer) => Promise<{ status: number; body: object }>;
  isStopped: boolean;
}

/** A failure that the test causes. */
class ExpectedFailure extends Error {}

/**
 * One client with names of its own, so that its answers alone determine the expected states. Returns once the load is
 * stopped. Every request of this client is valid, so any other rejection is a fault.
 */
export async function mixedClient(load: MixedLoad, client: number, random: () => number): Promise<void> {
  while (!load.isStopped) {
    await mixedStep(load, client, random).catch((error) => {
      if (error instanceof ExpectedFailure) return;
      // After a kill, `fetch` fails with TypeErrors; other errors come from answers and are reported.
      if (!load.isStopped || !(error instanceof TypeError)) throw error;
    });
  }
}

async function mixedStep(load: MixedLoad, client: number, random: () => number): Promise<void> {
  const { api, datasetId, ledger } = load;
  const must = ({ status, body }: { status: number; body: object }) => {
    load.onAnswer?.();
    if (load.failures?.includes(status)) throw new ExpectedFailure(JSON.stringify(body));
    if (status !== 200) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
  };
  const stem = `c${client}-${Math.floor(random() * STEMS_PER_CLIENT)}`;
  const filename = random() < 0.6 ? `${stem}.jpg` : `${stem}.txt`;
  const path = `/${datasetId}/files/${filename}`;
  const kind = random();
  if (kind < 0.15 && ledger.isPresent(filename)) {
    return ledger.attempt(filename, ABSENT, async () => {
      const answer = await api.request<object>('DELETE', path);
      must(load.isRepeated && answer.status === 404 ? { ...answer, status: 200 } : answer);
    });
  }
  if (kind < 0.2 && filename.endsWith('.jpg') && ledger.isPresent(filename)) {
    const response = await api.raw('GET', `${path}/thumbnail`);
    await response.arrayBuffer();
    return must({ status: response.status, body: {} });
  }
  if (kind < 0.35 && filename.endsWith('.txt') && ledger.isPresent(filename)) {
    const read = await api.raw('GET', path);
    const text = await read.text();
    must({ status: read.status, body: { text } });
    const ifMatch = load.isRepeated ? {} : { ifMatch: read.headers.get('etag') };
    const edit = { filename, text: `${text.slice(0, 1000)}, edited ${random()}`, ...ifMatch };
    return ledger.attempt(filename, sha256(Buffer.from(edit.text)), async () => {
      const answer = await api.json<WireSavedCaptions>('PUT', `/${datasetId}/captions`, { captions: [edit] });
      must(answer);
      // No other client has this name.
      if (answer.body.captions[0]?.saved !== true) throw new Error(`not saved: ${JSON.stringify(answer.body)}`);
    });
  }
  const padding = Math.floor(random() ** 3 * MAX_PADDING_BYTES);
  const bytes = contentOf(filename, `${filename} ${random()}`, padding);
  if (kind < 0.65) {
    return ledger.attempt(filename, sha256(bytes), async () => must(await api.upload(datasetId, filename, bytes)));
  }
  const links = await api.links(datasetId, { [filename]: bytes.length });
  must(links);
  const url = links.body.uploads[filename]?.upload_url ?? '';
  return ledger.attempt(filename, sha256(bytes), async () => must(await (load.putLink ?? put)(url, bytes)));
}

/** Every file that the server lists is whole and was sent, every acknowledged file is there, and the counts are right. */
export async function expectLedger(api: Api, datasetId: string, ledger: Ledger): Promise<void> {
  const { body } = await api.status(datasetId);
  const listed = new Map(body.files.map((file) => [file.filename, file.sha256]));
  expect(listed.size).toBe(body.files.length);
  expect([...listed.keys()].filter((name) => !ledger.names().includes(name))).toEqual([]);
  for (const name of ledger.names()) {
    const found = listed.get(name) ?? ABSENT;
    expect(ledger.possible(name), `${name} is ${found}`).toContain(found);
    ledger.found(name, found);
  }
  for (const { filename, sha256: expected, size_bytes } of body.files) {
    const bytes = Buffer.from(await (await api.raw('GET', `/${datasetId}/files/${filename}`)).arrayBuffer());
    expect({ filename, size: bytes.length, sha256: sha256(bytes) }).toEqual({
      filename,
      size: size_bytes,
      sha256: expected,
    });
  }
  // The list shows the stored counts; the status above is computed from the files. Uploads may just be expiring.
  const summaryOf = async () => (await api.list()).body.datasets.find(({ id }) => id === datasetId)!;
  const pendingOf = async () => [(await api.status(datasetId)).body.counts.pending, (await summaryOf()).counts.pending];
  await expect.poll(async () => new Set(await pendingOf()).size).toBe(1);
  const ofKind = (kind: string) => body.files.filter((file) => file.kind === kind);
  const uncaptioned = ofKind('image').filter(({ filename }) => !listed.has(filename.replace('.jpg', '.txt')));
  expect(await summaryOf()).toMatchObject({
    size_bytes: body.files.reduce((sum, file) => sum + file.size_bytes, 0),
    counts: {
      images: ofKind('image').length,
      videos: 0,
      captions: ofKind('caption').length,
      uncaptioned: uncaptioned.length,
      rejected: 0,
    },
  });
}
