import { afterAll, beforeAll, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { seededRandom } from '../faults/random.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { IS_ALL } from '../harness/available.js';
import { type DialectServer, type Mode, startDialectServer } from '../harness/dialect-server.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

/* Random edits, runs, decisions and undos, beside a model of what must be there. A failure prints its seed: SEED=… repeats it. */

const SEED = Number(process.env.SEED ?? 39);
const HISTORIES = IS_ALL ? 4 : 2;
const STEPS = 25;
const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;
const MODES: readonly Mode[] = [
  'writes a caption',
  'writes a caption',
  'streams',
  'is cut off',
  'refuses',
  "can't see",
];

interface Caption {
  readonly text: string;
  readonly by: string;
}

interface OpenProposal {
  readonly text: string;
  /** The caption when the model was asked. */
  readonly base: string | undefined;
}

let model: DialectServer;
let server: TestServer;
let api: Api;
let client: TrainyardClient;

beforeAll(async () => {
  model = await startDialectServer('llama.cpp');
  server = await startServer({ 'caption-endpoint': `local=${model.setting}`, 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(async () => {
  await discardServer(server);
  await model.close();
});

class History {
  readonly captions = new Map<string, Caption>();
  readonly proposals = new Map<string, OpenProposal>();
  /** The captions that the last run has stored, if nothing has changed them since. */
  undoable: { revision: number; names: string[] } | undefined;
  readonly id: string;
  readonly log: string[] = [];
  readonly #random: () => number;
  #count = 0;

  constructor(id: string, random: () => number) {
    this.id = id;
    this.#random = random;
  }

  #one<T>(of: readonly T[]): T {
    return of[Math.floor(this.#random() * of.length)]!;
  }

  async step(): Promise<void> {
    const kind = this.#one(['edit', 'remove', 'run', 'run', 'run', 'accept', 'accept', 'dismiss', 'undo'] as const);
    this.log.push(kind);
    switch (kind) {
      case 'edit':
        return this.#edit(this.#one(NAMES));
      case 'remove':
        return this.#remove(this.#one(NAMES));
      case 'run':
        return this.#run();
      case 'accept':
        return this.#decide('accept');
      case 'dismiss':
        return this.#decide('dismiss');
      case 'undo':
        return this.#undo();
    }
  }

  async #edit(name: string): Promise<void> {
    const text = `edit ${++this.#count}`;
    await client.bulk.saveCaptions(this.id, [{ filename: `${name}.txt`, text }]);
    this.captions.set(name, { text, by: 'person' });
  }

  async #remove(name: string): Promise<void> {
    if (this.captions.delete(name)) await client.removeFile(this.id, `${name}.txt`);
  }

  /** A person may edit a caption while the model writes another for it. */
  async #run(): Promise<void> {
    const files = this.#one(['missing', 'model', 'all'] as const);
    const mode = this.#one(MODES);
    const seed = ++this.#count;
    const edited = this.#random() < 0.4 ? this.#one(NAMES) : undefined;
    const before = new Map(this.captions);
    const asked = new Set<string>();
    model.caption = ({ prompt }) => `text ${seed} of ${prompt.charAt(0)}`;
    model.mode = async ({ prompt }) => {
      const name = prompt.charAt(0);
      asked.add(name);
      if (name === edited) await this.#edit(name);
      return mode;
    };
    this.log.push(`  ${files}, ${mode}, seed ${seed}, edits ${edited}`);
    const { run } = await client.captioning.start(this.id, { files, prompt: `{name} of ${this.id}`, seed });
    if (run === null) return;
    const ended = await eventually(async () => {
      const now = await client.captioning.run(this.id, run.id);
      return now.state === 'done' || now.state === 'stopped' ? now : undefined;
    });
    const isStored = mode === 'writes a caption' || mode === 'streams';
    const stored: string[] = [];
    for (const name of isStored || mode === 'is cut off' ? asked : []) {
      const text = `text ${seed} of ${name}`;
      const base = before.get(name)?.text;
      if (isStored && base === undefined && name !== edited) {
        this.captions.set(name, { text, by: 'test-vl' });
        stored.push(name);
      } else {
        // A caption that was missing is compared with what a person has written meanwhile.
        const seen = isStored && base === undefined ? this.captions.get(name)?.text : base;
        this.proposals.set(name, { text, base: seen });
      }
    }
    this.undoable = ended.revision === null ? undefined : { revision: ended.revision, names: stored };
    expect(ended.counts.applied, 'stored').toBe(stored.length);
  }

  async #decide(decision: 'accept' | 'dismiss'): Promise<void> {
    const [name, proposal] = this.#one([...this.proposals]) ?? [];
    if (name === undefined || proposal === undefined) return;
    const { proposals } = await client.captioning.proposals(this.id);
    const { id = '' } = proposals.find(({ caption }) => caption === `${name}.txt`) ?? {};
    if (decision === 'dismiss') {
      expect((await client.captioning.decide(this.id, { dismiss: [id] })).dismissed).toEqual([id]);
      this.proposals.delete(name);
      return;
    }
    const text = this.#random() < 0.5 ? `accepted ${++this.#count}` : undefined;
    const { accepted } = await client.captioning.decide(this.id, { accept: [{ id, ...(text && { text }) }] });
    const isOutdated = this.captions.get(name)?.text !== proposal.base;
    expect(accepted[0]?.outcome, name).toBe(isOutdated ? 'outdated' : 'accepted');
    if (isOutdated) return;
    this.captions.set(name, text === undefined ? { text: proposal.text, by: 'test-vl' } : { text, by: 'person' });
    this.proposals.delete(name);
  }

  /** Removes what a run has stored, unless it was changed since. */
  async #undo(): Promise<void> {
    if (this.undoable === undefined) return;
    const { revision, names } = this.undoable;
    const { undone } = await client.history.undo(this.id, revision);
    const kept = names.filter((name) => this.captions.get(name)?.by === 'test-vl' && undone.includes(`${name}.txt`));
    for (const name of kept) this.captions.delete(name);
    this.undoable = undefined;
  }

  async check(): Promise<void> {
    const { files } = await client.status(this.id);
    const stored = files.filter(({ kind }) => kind === 'caption');
    const texts = await client.bulk.captions(
      this.id,
      stored.map(({ filename }) => filename),
    );
    const found = stored.map(({ filename, origin }, i) => {
      const by = origin?.by === 'model' ? origin.model : origin?.by;
      return [filename.replace('.txt', ''), { text: texts[i]?.text, by }];
    });
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(this.captions));
    const { proposals } = await client.captioning.proposals(this.id);
    const open = proposals.map(({ caption, text, outdated }) => [caption.replace('.txt', ''), { text, outdated }]);
    const expected = [...this.proposals].map(([name, { text, base }]) => {
      return [name, { text, outdated: this.captions.get(name)?.text !== base }];
    });
    expect(Object.fromEntries(open)).toEqual(Object.fromEntries(expected));
  }
}

test('random edits, runs, decisions and undos lose and overwrite nothing', async () => {
  for (let i = 0; i < HISTORIES; i++) {
    const seed = SEED + i;
    const history = new History(await api.newDataset(), seededRandom(seed));
    for (const [k, name] of NAMES.entries())
      await api.upload(history.id, `${name}.png`, await media.png({ width: 64 + k }));
    for (let step = 0; step < STEPS; step++) {
      try {
        await history.step();
        await history.check();
      } catch (error) {
        throw new Error(`SEED=${seed}, step ${step}:\n${history.log.join('\n')}`, { cause: error });
      }
    }
  }
});
