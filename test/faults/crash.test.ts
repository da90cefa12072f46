import { EventEmitter, once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFailed, test } from 'vitest';
import type { Api } from '../harness/api.js';
import { put } from '../harness/api.js';
import { discardServer, startServer, type TestServer, temporaryFolder } from '../harness/server.js';
import { contentOf, sha256 } from './contents.js';
import { ABSENT, Ledger } from './ledger.js';
import { seededRandom } from './random.js';
import { faultsOf, NOTHING_REMAINS, remainsIn } from './remains.js';

const ROUNDS = 14;
const CLIENTS = 6;
/** Few names, so that files are overwritten and removed often. */
const STEMS_PER_CLIENT = 5;
const MAX_PADDING_BYTES = 400_000;

/** The moment of a crash: at most this many answers, and then this delay. */
const MAX_ANSWERS = 60;
const MAX_DELAY_MS = 25;

const SETTINGS = { 'blob-grace-seconds': 0 };

/** Load on one server until it is killed. */
interface Load {
  readonly api: Api;
  readonly datasetId: string;
  readonly ledger: Ledger;
  readonly onAnswer: () => unknown;
  isKilled: boolean;
}

/**
 * One client with names of its own, so that its answers alone determine the expected states. Returns when the server is
 * gone. Every request of this client is valid, so a rejection is a fault.
 */
async function work(load: Load, client: number, random: () => number): Promise<void> {
  const { api, datasetId, ledger } = load;
  const must = ({ status, body }: { status: number; body: object }) => {
    if (status !== 200) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
    load.onAnswer();
  };
  const step = async () => {
    const stem = `c${client}-${Math.floor(random() * STEMS_PER_CLIENT)}`;
    const filename = random() < 0.6 ? `${stem}.jpg` : `${stem}.txt`;
    const kind = random();
    if (kind < 0.15 && ledger.isPresent(filename)) {
      const remove = async () => must(await api.request('DELETE', `/${datasetId}/files/${filename}`));
      return ledger.attempt(filename, ABSENT, remove);
    }
    if (kind < 0.2 && filename.endsWith('.jpg') && ledger.isPresent(filename)) {
      const response = await api.raw('GET', `/${datasetId}/files/${filename}/thumbnail`);
      await response.arrayBuffer();
      return must({ status: response.status, body: {} });
    }
    const padding = Math.floor(random() ** 3 * MAX_PADDING_BYTES);
    const bytes = contentOf(filename, `${filename} ${random()}`, padding);
    if (kind < 0.65) {
      const upload = async () => must(await api.upload(datasetId, filename, bytes));
      return ledger.attempt(filename, sha256(bytes), upload);
    }
    const url = await api.link(datasetId, filename, bytes.length);
    return ledger.attempt(filename, sha256(bytes), async () => must(await put(url, bytes)));
  };
  while (!load.isKilled) {
    await step().catch((error) => {
      // After the kill, `fetch` fails with TypeErrors; other errors come from answers and are reported.
      if (!load.isKilled || !(error instanceof TypeError)) throw error;
    });
  }
}

/** Every file that the server lists is whole and was sent, and every acknowledged file is there. */
async function expectAcknowledged(server: TestServer, api: Api, datasetId: string, ledger: Ledger): Promise<void> {
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
  expect(remainsIn(server.dataFolder)).toEqual(NOTHING_REMAINS);

  // The list shows the stored counts; the status above is computed from the files.
  const [summary] = (await api.list()).body.datasets;
  const ofKind = (kind: string) => body.files.filter((file) => file.kind === kind);
  const uncaptioned = ofKind('image').filter(({ filename }) => !listed.has(filename.replace('.jpg', '.txt')));
  expect(summary).toMatchObject({
    size_bytes: body.files.reduce((sum, file) => sum + file.size_bytes, 0),
    counts: {
      images: ofKind('image').length,
      videos: 0,
      captions: ofKind('caption').length,
      uncaptioned: uncaptioned.length,
      pending: body.counts.pending,
      rejected: 0,
    },
  });
}

test('after a crash at any moment, every acknowledged file is there and every listed file is whole', async () => {
  const seed = Number(process.env.TRAINYARD_TEST_SEED ?? Date.now() % 1_000_000);
  onTestFailed(() => console.error(`run it again with TRAINYARD_TEST_SEED=${seed}`));
  const random = seededRandom(seed);
  const dataFolder = await temporaryFolder();
  const ledger = new Ledger();
  const known = new Set<string>();
  let server = await startServer(SETTINGS, { dataFolder });
  try {
    const api = await server.api();
    const datasetId = await api.newDataset('crashes');
    for (let round = 0; round < ROUNDS; round++) {
      const current = await server.api();
      let answersLeft = 1 + Math.floor(random() * MAX_ANSWERS);
      const delayMs = random() * MAX_DELAY_MS;
      const exited = once(server.process, 'exit');
      const answered = new EventEmitter();
      const enough = once(answered, 'enough');
      const onAnswer = () => --answersLeft === 0 && answered.emit('enough');
      const load: Load = { api: current, datasetId, ledger, isKilled: false, onAnswer };
      const clients = Array.from({ length: CLIENTS }, (_, i) => work(load, i, seededRandom(random() * 2 ** 32)));
      const working = Promise.all(clients);
      await Promise.race([enough, working]);
      await wait(delayMs);
      load.isKilled = true;
      server.process.kill('SIGKILL');
      await Promise.all([exited, working]);
      expect(faultsOf(server)).toEqual([]);

      server = await startServer(SETTINGS, { dataFolder });
      await expectAcknowledged(server, await server.api(), datasetId, ledger);
      for (const name of ledger.names()) known.add(name);
    }
    expect(ledger.unanswered).toBeGreaterThan(ROUNDS);
    expect(known.size).toBeGreaterThan(CLIENTS);
  } finally {
    await discardServer(server);
  }
}, 120_000);
