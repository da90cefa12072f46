import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { captionOf, type DialectServer, type Mode, startDialectServer } from '../harness/dialect-server.js';
import { startReceiver } from '../harness/receiver.js';
import { discardServer, eventually, startServer, temporaryFolder, type TestServer } from '../harness/server.js';

const KEY = 'sk-secret';

let models: Record<'vllm' | 'llama' | 'lm' | 'ollama', DialectServer>;
let settings: Record<string, string | number>;
let server: TestServer;
let api: Api;
let client: TrainyardClient;

beforeAll(async () => {
  models = {
    vllm: await startDialectServer('vllm'),
    llama: await startDialectServer('llama.cpp'),
    lm: await startDialectServer('lm-studio'),
    ollama: await startDialectServer('ollama'),
  };
  const folder = await temporaryFolder();
  const file = join(folder, 'endpoints.json');
  const body = { chat_template_kwargs: { enable_thinking: false } };
  const endpoints = [
    { name: 'vllm', url: models.vllm.url, concurrency: 4, body, keyEnv: 'MODEL_KEY' },
    { name: 'ollama', url: models.ollama.url, model: 'test-vl', dialect: 'ollama', longestSide: 64 },
    { name: 'hasty', url: models.vllm.url, timeoutSeconds: 1 },
    { name: 'whole', url: models.vllm.url, video: 'url', keyEnv: 'MODEL_KEY' },
  ];
  await writeFile(file, JSON.stringify(endpoints));
  settings = {
    'caption-endpoint': `llama=${models.llama.setting},lm=${models.lm.url.replace('/v1', '')}`,
    'caption-endpoints': file,
    'caption-grace-seconds': 0,
    'webhook-allow': '127.0.0.1',
  };
  server = await startServer(settings, { env: { MODEL_KEY: KEY } });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(async () => {
  await discardServer(server);
  for (const model of Object.values(models)) await model.close();
});

beforeEach(() => {
  for (const model of Object.values(models)) {
    Object.assign(model, { mode: 'writes a caption', caption: captionOf, models: undefined });
    model.asked.length = 0;
  }
});

let shade = 0;

/** A dataset with pictures that differ, and captions for those whose text is not null. */
async function datasetOf(texts: Record<string, string | null>, of = api): Promise<string> {
  const id = await of.newDataset();
  for (const [name, text] of Object.entries(texts)) {
    const background = { r: (++shade * 37) % 256, g: (shade * 91) % 256, b: (shade * 13) % 256 };
    const picture = await sharp({ create: { width: 90, height: 60, channels: 3, background } })
      .png()
      .toBuffer();
    expect((await of.upload(id, `${name}.png`, picture)).status).toBe(200);
    if (text !== null) await of.upload(id, `${name}.txt`, text);
  }
  return id;
}

const endOf = (id: string, runId: string, of = client) =>
  eventually(async () => {
    const run = await of.captioning.run(id, runId);
    return run.state === 'done' || run.state === 'stopped' ? run : undefined;
  });

async function captioned(id: string, options: Parameters<typeof client.captioning.start>[1] = {}, of = client) {
  const { run } = await of.captioning.start(id, { endpoint: 'llama', ...options });
  return endOf(id, run!.id, of);
}

const textsOf = async (id: string) => {
  const { files } = await client.status(id);
  const names = files.filter(({ kind }) => kind === 'caption').map(({ filename }) => filename);
  const captions = names.length === 0 ? [] : await client.bulk.captions(id, names);
  return Object.fromEntries(captions.map(({ filename, text }) => [filename, text]));
};

const save = (id: string, filename: string, text: string) => client.bulk.saveCaptions(id, [{ filename, text }]);

describe('endpoints', () => {
  test('are listed with what their servers say, and without their URLs and keys', async () => {
    models.vllm.mode = 'rejects the key';
    const endpoints = await client.captioning.endpoints();
    expect(endpoints.map(({ name, model, reachable, vision }) => [name, model, reachable, vision])).toEqual([
      ['llama', 'test-vl', true, true],
      ['lm', 'test-vl', true, null],
      ['vllm', 'test-vl', true, null],
      ['ollama', 'test-vl', true, true],
      ['hasty', 'test-vl', true, null],
      ['whole', 'test-vl', true, null],
    ]);
    expect(JSON.stringify(endpoints)).not.toMatch(/127\.0\.0\.1|secret/);
  });

  test.each(['llama', 'lm', 'vllm', 'ollama'] as const)('%s is tested with a small picture', async (name) => {
    models[name].caption = () => 'a red square';
    expect(await client.captioning.test(name)).toMatchObject({ ok: true, text: 'a red square', outcome: null });
    const [{ pictures: [picture] = [], authorization } = {}] = models[name].asked;
    expect(await sharp(picture).metadata()).toMatchObject({ format: 'jpeg', width: 64, height: 64 });
    expect(authorization).toBe(name === 'vllm' ? `Bearer ${KEY}` : undefined);
    expect(models[name].asked[0]?.body).toMatchObject({ model: 'test-vl', stream: false });
  });

  test('answer a test with the words of their server, but not with the key that it quotes', async () => {
    models.vllm.mode = 'rejects the key';
    const { ok, outcome, message } = await client.captioning.test('vllm');
    expect([ok, outcome]).toEqual([false, 'unauthorized']);
    expect(message).toMatch(/It answered 401: Incorrect API key provided: …\. The operator corrects the key/);
    models.vllm.mode = 'rejects the key in a success';
    const second = await client.captioning.test('vllm');
    expect(second).toMatchObject({ ok: false, message: expect.stringContaining('key provided: …. Its log') });
    expect(server.output()).not.toContain(KEY);
  });

  test('have names of models that can be stored, or none', async () => {
    models.vllm.models = {
      data: [{ id: 42 }, null, 'x', { id: 'a\0b' }, { name: {} }, { id: 'x'.repeat(501) }],
      models: 1,
    };
    const endpoints = await client.captioning.endpoints();
    expect(endpoints.find(({ name }) => name === 'vllm')).toMatchObject({
      model: null,
      error: expect.stringContaining('no model'),
    });
  });

  test('never get a key through a redirect', async () => {
    models.vllm.mode = 'redirects';
    const { outcome, message } = await client.captioning.test('vllm');
    expect([outcome, message]).toEqual(['unreachable', expect.stringContaining('redirects are not followed')]);
  });

  test('that do not exist are named', async () => {
    const { status, body } = await api.json('POST', '/caption-endpoints/none/test', {});
    expect([status, body.error_code]).toEqual([404, 404011]);
    expect(body.error_message).toContain('llama, lm, vllm, ollama, hasty');
  });
});

describe('a run', () => {
  test('counts first, stores captions of files without one in one revision, and proposes for the others', async () => {
    const id = await datasetOf({ a: null, b: null, c: 'by hand', d: null });
    await save(id, 'd.txt', 'typed');
    const plan = await client.captioning.plan(id, { files: 'all' });
    expect(plan.counts).toEqual({ without_caption: 2, by_model: 0, by_person: 2, others: 0 });
    expect(plan.summary).toBe(
      '2 without a caption: stored when the run ends. 2 written or imported by you: they stay, and get a proposal.',
    );
    const usual = await client.captioning.plan(id);
    expect(usual.counts).toEqual(plan.counts);
    expect(usual.summary).toBe(
      '2 without a caption: stored when the run ends. 2 written or imported by you: they stay.',
    );
    expect(models.llama.asked).toEqual([]);

    const run = await captioned(id, { files: 'all', trigger: 'p3nny' });
    expect(run).toMatchObject({ state: 'done', total: 4, counts: { applied: 2, proposed: 2, failed: 0 } });
    const texts = await textsOf(id);
    expect(texts).toMatchObject({ 'c.txt': 'by hand', 'd.txt': 'typed' });
    expect(texts['a.txt']).toMatch(/^p3nny, a picture numbered \w{8}$/);
    const [latest] = (await client.history.revisions(id)).revisions;
    expect(latest).toMatchObject({ number: run.revision, how: 'caption', added: 2, changed: 0 });
    expect(latest?.token?.name).toBe('captions by test-vl');

    const origins = Object.fromEntries(
      (await client.status(id)).files.map(({ filename, origin }) => [filename, origin]),
    );
    expect(origins).toMatchObject({
      'a.txt': { by: 'model', model: 'test-vl', preset: 'sentence' },
      'c.txt': undefined,
      'd.txt': { by: 'person' },
    });
    const manifest = await client.manifest(id);
    expect(manifest.files.find(({ filename }) => filename === 'a.txt')?.origin).toEqual(origins['a.txt']);

    const again = await client.captioning.plan(id, { files: 'model' });
    expect(again.counts).toEqual({ without_caption: 0, by_model: 2, by_person: 2, others: 0 });

    expect((await client.history.undo(id, run.revision!)).undone).toEqual(['a.txt', 'b.txt']);
    expect(await textsOf(id)).toEqual({ 'c.txt': 'by hand', 'd.txt': 'typed' });
  });

  test('sends upright pictures without metadata, on white, as large as the endpoint says, and the prompt', async () => {
    const id = await api.newDataset();
    const clear = await sharp({ create: { width: 400, height: 200, channels: 4, background: '#00000000' } })
      .withExif({ IFD3: { GPSLatitudeRef: 'N' } })
      .png()
      .toBuffer();
    const turned = await sharp({ create: { width: 400, height: 200, channels: 3, background: 'red' } })
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toBuffer();
    await api.upload(id, 'clear.png', clear);
    await api.upload(id, 'turned.jpg', turned);
    const prompt = 'About {name}:{caption}';
    await captioned(id, { endpoint: 'ollama', prompt, leave_out: ['text'], max_tokens: 50, seed: 7 });
    const asked = models.ollama.asked.toSorted((a, b) => (a.prompt < b.prompt ? -1 : 1));
    expect(asked.map((each) => each.prompt)).toEqual(
      ['clear', 'turned'].map((name) => `About ${name}:\n\nDo not mention: text.`),
    );
    expect(asked[0]?.body).toMatchObject({ options: { num_predict: 50, seed: 7 } });
    const [seen, upright] = await Promise.all(asked.map(({ pictures: [picture] }) => sharp(picture).metadata()));
    expect(seen).toMatchObject({ format: 'jpeg', width: 64, height: 32, channels: 3 });
    expect(upright).toMatchObject({ width: 32, height: 64 });
    expect([seen?.exif, upright?.exif, upright?.orientation]).toEqual([undefined, undefined, undefined]);
    const { dominant } = await sharp(asked[0]?.pictures[0]).stats();
    expect(Math.min(dominant.r, dominant.g, dominant.b)).toBeGreaterThan(240);
  });

  test('shows a clip as frames with their times', async () => {
    const id = await api.newDataset();
    await api.upload(id, 'clip.mp4', media.clip('faststart.mp4'));
    const run = await captioned(id, { preset: 'clip', frames: 3 });
    expect(run.counts).toMatchObject({ applied: 1 });
    const [{ pictures = [], prompt = '' } = {}] = models.llama.asked;
    expect(prompt).toMatch(/^The pictures are frames of one clip, at 0, [\d.]+, [\d.]+ s\.\n\nDescribe this clip/);
    expect(pictures).toHaveLength(3);
    expect((await sharp(pictures[2]).metadata()).format).toBe('jpeg');
  });

  test('sends a clip whole where the endpoint says so', async () => {
    const id = await api.newDataset();
    const clip = media.clip('faststart.mp4');
    await api.upload(id, 'clip.mp4', clip);
    expect((await captioned(id, { endpoint: 'whole', preset: 'clip' })).counts).toMatchObject({ applied: 1 });
    expect(models.vllm.asked.at(-1)?.pictures[0]?.equals(clip)).toBe(true);
  });

  test('asks the same question once, also in two runs at once and after an undo', async () => {
    const id = await datasetOf({ a: null, b: null, c: null });
    const started = await Promise.all([1, 2].map(() => client.captioning.start(id, { endpoint: 'vllm' })));
    const [first, second] = await Promise.all(started.map(({ run }) => endOf(id, run!.id)));
    expect(models.vllm.asked).toHaveLength(3);
    expect(first!.counts.applied + second!.counts.applied).toBeGreaterThanOrEqual(3);
    const { revision } = [first!, second!].find((run) => run.revision !== null)!;
    await client.history.undo(id, revision!);
    expect(await captioned(id, { endpoint: 'vllm' })).toMatchObject({ counts: { applied: 3 } });
    expect(models.vllm.asked).toHaveLength(3);
    await client.history.undo(id, (await client.history.revisions(id)).revisions[0]!.number);
    await captioned(id, { endpoint: 'vllm', seed: 2 });
    expect(models.vllm.asked).toHaveLength(6);
  });

  test('writes the .txt beside a structured caption, which stays as it is', async () => {
    const id = await datasetOf({ a: null });
    await api.upload(id, 'a.json', '{"a": "wagon"}');
    expect(await captioned(id)).toMatchObject({ state: 'done' });
    expect(await textsOf(id)).toEqual({ 'a.json': '{"a": "wagon"}', 'a.txt': expect.stringMatching(/./) });
  });

  test('never overwrites a caption that a person writes before the answer', async () => {
    const id = await datasetOf({ a: null, b: null });
    models.llama.mode = async (_, index): Promise<Mode> => {
      if (index === 0) await save(id, 'a.txt', 'first');
      return 'writes a caption';
    };
    const run = await captioned(id);
    expect(run).toMatchObject({ state: 'done', counts: { applied: 1, proposed: 1 } });
    expect((await textsOf(id))['a.txt']).toBe('first');
    const { proposals } = await client.captioning.proposals(id);
    expect(proposals).toMatchObject([{ filename: 'a.png', caption: 'a.txt', outdated: false }]);
  });

  test('ends also if a caption is longer than captions may be', async () => {
    const id = await datasetOf({ a: null, b: null });
    models.llama.mode = (_, index) => (index === 0 ? 'writes too much' : 'writes a caption');
    const run = await captioned(id, { max_tokens: 32_768 });
    expect(run).toMatchObject({ state: 'done', counts: { applied: 1, failed: 1 } });
    expect(run.problems).toMatchObject([
      {
        outcome: 'rejected',
        message: 'The text is no valid caption. It has more than 65536 bytes. Write this caption by hand.',
      },
    ]);
  });

  test('does not wait for the run of another account on a server that is slow', async () => {
    const eve = await server.api('eve');
    const theirs = new TrainyardClient({ baseUrl: server.url, token: eve.token });
    const names = Array.from({ length: 12 }, (_, i) => [`f${i}`, null]);
    const slow = await datasetOf(Object.fromEntries(names), eve);
    let answer: (mode: Mode) => void = () => {};
    models.lm.mode = () => new Promise<Mode>((resolve) => (answer = resolve));
    const { run } = await theirs.captioning.start(slow, { endpoint: 'lm' });
    await eventually(() => (models.lm.asked.length === 1 ? true : undefined));
    expect(await captioned(await datasetOf({ a: null }))).toMatchObject({ state: 'done', counts: { applied: 1 } });
    expect((await theirs.captioning.run(slow, run!.id)).counts.waiting).toBe(12);
    await theirs.captioning.stop(slow, run!.id);
    answer('writes a caption');
    await endOf(slow, run!.id, theirs);
  });

  test('uses a connection for each question, since servers close idle ones', async () => {
    await captioned(await datasetOf({ a: null, b: null, c: null }));
    expect(new Set(models.llama.asked.map(({ port }) => port)).size).toBe(3);
  });

  test('keeps an answer that comes after it was stopped, also as one that was cut off', async () => {
    const id = await datasetOf({ a: null });
    let answer: (mode: Mode) => void = () => {};
    models.llama.mode = () => new Promise<Mode>((resolve) => (answer = resolve));
    const { run } = await client.captioning.start(id, { endpoint: 'llama' });
    await eventually(() => (models.llama.asked.length === 1 ? true : undefined));
    await client.captioning.stop(id, run!.id);
    answer('is cut off');
    await endOf(id, run!.id);
    models.llama.mode = 'is cut off';
    await client.captioning.resume(id, run!.id);
    expect(await endOf(id, run!.id)).toMatchObject({ counts: { applied: 0, proposed: 1 } });
    expect(models.llama.asked.length).toBeLessThanOrEqual(2);
  });

  test('makes a proposal of an answer that was cut off, although the file has no caption', async () => {
    const id = await datasetOf({ a: null });
    models.llama.mode = 'is cut off';
    const run = await captioned(id);
    expect(run).toMatchObject({ state: 'done', revision: null, counts: { applied: 0, proposed: 1 } });
    expect(run.problems).toMatchObject([{ filename: 'a.png', outcome: 'cut_off' }]);
    expect(run.problems?.[0]?.message).toMatch(/^The answer was cut off\. Edit the proposal/);
    expect((await client.captioning.proposals(id)).proposals).toMatchObject([{ cut_off: true, base_etag: null }]);
  });

  test.each<[Mode, string, string]>([
    ["can't see", 'no_vision', 'start llama-server with --mmproj'],
    ['lacks the model', 'model_missing', 'Pull or load the model'],
    ['has a small context', 'context_too_small', '2892 tokens'],
    ['thinks too long', 'thought_too_long', 'Turn thinking off'],
    ['fails', 'server_error', 'CUDA out of memory'],
  ])(
    'stops after three in a row if the model server %s, and asks again when it is resumed',
    async (mode, outcome, words) => {
      const id = await datasetOf({ a: null, b: null, c: null, d: null, e: null });
      models.llama.mode = mode;
      const stopped = await captioned(id);
      expect(stopped).toMatchObject({ state: 'stopped', reason: expect.stringContaining(words) });
      expect(stopped.counts).toMatchObject({ failed: 3, waiting: 2, applied: 0 });
      expect(new Set(stopped.problems?.map((problem) => problem.outcome))).toEqual(new Set([outcome]));
      models.llama.mode = 'writes a caption';
      await client.captioning.resume(id, stopped.id);
      expect(await endOf(id, stopped.id)).toMatchObject({ state: 'done', reason: null, counts: { applied: 5 } });
      expect(models.llama.asked).toHaveLength(8);
    },
  );

  test.each<[Mode, string]>([
    ['refuses', 'refused'],
    ['filters', 'refused'],
    ['is silent', 'empty'],
    ['rejects the picture', 'image_rejected'],
  ])('goes on with the other files if the model server %s', async (mode, outcome) => {
    const id = await datasetOf({ a: null, b: null, c: null, d: null, e: null });
    models.llama.mode = (_, index) => (index < 4 ? mode : 'writes a caption');
    const run = await captioned(id);
    expect(run).toMatchObject({ state: 'done', counts: { failed: 4, applied: 1 } });
    expect(run.problems?.map((problem) => problem.outcome)).toEqual([outcome, outcome, outcome, outcome]);
  });

  test('waits while the server is busy, as long as Retry-After says', async () => {
    const id = await datasetOf({ a: null, b: null });
    models.lm.mode = (_, index) => (index === 0 ? 'is busy' : index === 1 ? 'loads' : 'writes a caption');
    const { run } = await client.captioning.start(id, { endpoint: 'lm' });
    const busy = await eventually(async () => {
      const now = await client.captioning.run(id, run!.id);
      return now.busy_until === null ? undefined : now;
    });
    expect(busy).toMatchObject({ state: 'running', counts: { failed: 0, waiting: 2 } });
    expect(await endOf(id, run!.id)).toMatchObject({ state: 'done', busy_until: null, counts: { applied: 2 } });
    expect(models.lm.asked).toHaveLength(4);
  });

  test('says that a server is silent for too long, or gone', async () => {
    const id = await datasetOf({ a: null });
    models.vllm.mode = 'hang';
    const slow = await captioned(id, { endpoint: 'hasty' });
    expect(slow.problems).toMatchObject([{ outcome: 'timeout', message: expect.stringContaining('within 1 s') }]);
    models.vllm.mode = 'drop';
    const gone = await captioned(id, { endpoint: 'vllm' });
    expect(gone.problems).toMatchObject([
      { outcome: 'unreachable', message: expect.stringContaining('closed the connection') },
    ]);
  });

  test('that a person stops stores what it has, in one revision, and is resumed', async () => {
    const id = await datasetOf({ a: null, b: null, c: null, d: null });
    let answer: (mode: Mode) => void = () => {};
    models.llama.mode = (_, index) =>
      index < 2 ? 'writes a caption' : new Promise<Mode>((resolve) => (answer = resolve));
    const { run } = await client.captioning.start(id, { endpoint: 'llama' });
    await eventually(async () => ((await client.captioning.run(id, run!.id)).counts.ready === 2 ? true : undefined));
    await client.captioning.stop(id, run!.id);
    const stopped = await endOf(id, run!.id);
    expect(stopped).toMatchObject({ state: 'stopped', reason: null, counts: { applied: 2, waiting: 2 } });
    expect(Object.keys(await textsOf(id))).toHaveLength(2);
    models.llama.mode = 'writes a caption';
    await client.captioning.resume(id, run!.id);
    answer('writes a caption');
    expect(await endOf(id, run!.id)).toMatchObject({ state: 'done', counts: { applied: 4 } });
    // The third was asked before the stop, and its answer kept.
    expect(new Set(models.llama.asked.map(({ pictures: [picture] }) => picture?.toString('base64'))).size).toBe(4);
    expect(models.llama.asked.length).toBeLessThanOrEqual(5);
  });

  test('continues after the server was killed, and asks again only what was not answered', async () => {
    const own = await startServer(settings, { env: { MODEL_KEY: KEY } });
    const mine = new TrainyardClient({ baseUrl: own.url, token: (await own.api()).token });
    const id = await datasetOf({ a: null, b: null, c: null, d: null }, await own.api());
    models.llama.mode = (_, index) => (index < 2 ? 'writes a caption' : 'hang');
    const { run } = await mine.captioning.start(id, { endpoint: 'llama' });
    await eventually(() => (models.llama.asked.length === 3 ? true : undefined));
    await eventually(async () => ((await mine.captioning.run(id, run!.id)).counts.ready === 2 ? true : undefined));
    await own.stop('SIGKILL');
    models.llama.mode = 'writes a caption';
    const next = await startServer(settings, { env: { MODEL_KEY: KEY }, dataFolder: own.dataFolder });
    const again = new TrainyardClient({ baseUrl: next.url, token: (await next.api()).token });
    expect(await endOf(id, run!.id, again)).toMatchObject({ state: 'done', counts: { applied: 4 } });
    expect(models.llama.asked).toHaveLength(5);
    await discardServer(next);
  });

  test('whose captions exceed a limit makes proposals of them, and says so', async () => {
    const own = await startServer({ ...settings, 'max-dataset-files': 3 }, { env: { MODEL_KEY: KEY } });
    const mine = new TrainyardClient({ baseUrl: own.url, token: (await own.api()).token });
    const id = await datasetOf({ a: null, b: null }, await own.api());
    const run = await captioned(id, {}, mine);
    expect(run).toMatchObject({ state: 'stopped', counts: { applied: 0, ready: 0, proposed: 2 } });
    expect(run.reason).toMatch(/^The captions became proposals: /);
    const { proposals } = await mine.captioning.proposals(id);
    const { accepted } = await mine.captioning.decide(id, { accept: [{ id: proposals[0]!.id }] });
    expect(accepted).toMatchObject([{ outcome: 'accepted' }]);
    await discardServer(own);
  });

  test('is announced to webhooks, and counted by the metrics', async () => {
    const receiver = await startReceiver();
    const webhook = await client.webhooks.add(receiver.url, { events: ['captions.finished'] });
    const id = await datasetOf({ a: null });
    const run = await captioned(id);
    const [event] = await eventually(() => (receiver.received.length > 0 ? receiver.events() : undefined));
    expect(event).toMatchObject({
      type: 'captions.finished',
      data: { id, run: { id: run.id, counts: { applied: 1 } } },
    });
    await client.webhooks.remove(webhook.id);
    await receiver.close();
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/trainyard_caption_requests_total{outcome="written"} [1-9]/);
    expect(metrics).toMatch(/trainyard_captions_in_flight 0/);
  });

  test('needs a training dataset, one kind of prompt, and a token that may write', async () => {
    const control = (await client.create(undefined, { role: 'control' })).id;
    const codeOf = async (path: string, body: object, of = api) => (await of.json('POST', path, body)).body.error_code;
    expect(await codeOf(`/${control}/caption-runs`, {})).toBe(409006);
    const id = await datasetOf({ a: null });
    expect(await codeOf(`/${id}/caption-runs`, { preset: 'tags', prompt: 'x' })).toBe(422002);
    expect(await codeOf(`/${id}/caption-runs`, { preset: 'none' })).toBe(404013);
    expect(await codeOf(`/${id}/caption-runs`, { endpoint: 'none' })).toBe(404011);
    expect(await codeOf(`/${id}/caption-runs/none/stop`, {})).toBe(404012);
    const secretOf = async (rights: object) => (await client.tokens.make(rights)).secret;
    const withToken = (token: string) => new TrainyardClient({ baseUrl: server.url, token });
    const reader = withToken(await secretOf({ readOnly: true }));
    expect(await reader.captioning.runs(id)).toEqual([]);
    await expect(reader.captioning.plan(id)).rejects.toMatchObject({ status: 403 });
    const bound = withToken(await secretOf({ datasets: [id] }));
    expect((await captioned(id, {}, bound)).counts).toMatchObject({ applied: 1 });
    await expect(bound.captioning.savePreset('mine', 'x')).rejects.toMatchObject({ status: 403 });
    const share = await client.shares.make(id);
    const visitor = withToken(new URL(share.url).hash.replace(/^#(share=)?/, ''));
    await expect(visitor.captioning.endpoints()).rejects.toMatchObject({ status: expect.any(Number) });
  });
});

describe('proposals', () => {
  afterEach(() => expect(server.output()).not.toMatch(/"level":50/));

  test('are accepted, edited, dismissed, and outdated by an edit; all accepted in a review are one revision', async () => {
    const id = await datasetOf({ a: 'a1', b: 'b1', c: 'c1', d: 'd1' });
    await captioned(id, { files: 'all', preset: 'tags' });
    await save(id, 'c.txt', 'c2');
    const { proposals, total } = await client.captioning.proposals(id);
    expect(total).toBe(4);
    const [a, b, c, d] = proposals;
    expect(proposals.map(({ outdated }) => outdated)).toEqual([false, false, true, false]);
    const light = await client.captioning.proposals(id, { texts: 'false', limit: 20_000 });
    expect(light.proposals.map(({ filename, text }) => [filename, text])).toEqual(
      ['a', 'b', 'c', 'd'].map((name) => [`${name}.png`, undefined]),
    );
    const change = { how: 'edit', id: 'review-1' } as const;
    const reviewer = new TrainyardClient({ baseUrl: server.url, token: api.token, change });
    const first = await reviewer.captioning.decide(id, { accept: [{ id: a!.id }, { id: c!.id }] });
    expect(first.accepted.map(({ outcome }) => outcome)).toEqual(['accepted', 'outdated']);
    const second = await reviewer.captioning.decide(id, {
      accept: [{ id: b!.id, text: 'b edited' }, { id: c!.id, ifMatch: c!.current_etag }, { id: a!.id }],
      dismiss: [d!.id],
    });
    expect(second.accepted.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted', 'not_open']);
    expect(second).toMatchObject({ dismissed: [d!.id], revision: first.revision });
    expect(await textsOf(id)).toEqual({ 'a.txt': a!.text, 'b.txt': 'b edited', 'c.txt': c!.text, 'd.txt': 'd1' });
    const { files } = await client.status(id);
    const originOf = (name: string) => files.find(({ filename }) => filename === name)?.origin;
    expect(originOf('a.txt')).toEqual({ by: 'model', model: 'test-vl', preset: 'tags' });
    expect(originOf('b.txt')).toEqual({ by: 'person' });
    expect((await client.captioning.proposals(id)).total).toBe(0);
    // Restored versions have their origins.
    await client.history.undo(id, second.revision!);
    expect(await textsOf(id)).toMatchObject({ 'a.txt': 'a1', 'b.txt': 'b1', 'c.txt': 'c2' });
    await client.history.undo(id, second.revision! + 1);
    const restored = (await client.status(id)).files.find(({ filename }) => filename === 'a.txt');
    expect(restored?.origin).toMatchObject({ by: 'model' });
  });

  test('of removed images are not open, until these are restored', async () => {
    const id = await datasetOf({ a: 'a1', b: 'b1' });
    await captioned(id, { files: 'all' });
    const [a] = (await client.captioning.proposals(id)).proposals;
    await client.bulk.removeFiles(id, ['a.png', 'a.txt']);
    const revision = (await client.history.revisions(id)).revisions[0]!.number;
    const names = async () => (await client.captioning.proposals(id)).proposals.map(({ filename }) => filename);
    expect([await names(), (await client.captioning.proposals(id)).total]).toEqual([['b.png'], 1]);
    const late = await client.captioning.decide(id, { accept: [{ id: a!.id }] });
    expect(late.accepted).toEqual([{ id: a!.id, outcome: 'not_open' }]);
    expect(await textsOf(id)).toEqual({ 'b.txt': 'b1' });
    await client.history.undo(id, revision);
    expect(await names()).toEqual(['a.png', 'b.png']);
  });

  test('are replaced by those of a later run, one for each file, page by page', async () => {
    const id = await datasetOf({ a: 'a1', b: 'b1', c: 'c1' });
    const first = await captioned(id, { files: 'all' });
    const second = await captioned(id, { files: 'all', filenames: ['a.png', 'b.png'], seed: 2 });
    expect(second.total).toBe(2);
    const page = await client.captioning.proposals(id, { limit: 2 });
    expect(page.proposals.map(({ run }) => run)).toEqual([second.id, second.id]);
    const rest = await client.captioning.proposals(id, { limit: 2, after: page.next_after! });
    expect(rest).toMatchObject({ proposals: [{ run: first.id, filename: 'c.png' }], next_after: null, total: 3 });
    expect((await client.captioning.run(id, first.id)).counts).toMatchObject({ proposed: 1, decided: 2 });
    expect((await client.captioning.runs(id)).map((run) => run.id)).toEqual([second.id, first.id]);
  });
});

test('prompts are saved for the account, beside the built-in ones', async () => {
  await client.captioning.savePreset('Mine', 'Only {name}');
  await client.captioning.savePreset('Mine', 'Only about {name}');
  const presets = await client.captioning.presets();
  expect(presets.map(({ name, builtin }) => [name, builtin])).toEqual([
    ['tags', true],
    ['sentence', true],
    ['paragraph', true],
    ['clip', true],
    ['Mine', false],
  ]);
  const id = await datasetOf({ a: null });
  await captioned(id, { preset: 'Mine' });
  expect(models.llama.asked[0]?.prompt).toBe('Only about a');
  await expect(client.captioning.savePreset('tags', 'x')).rejects.toMatchObject({ status: 422 });
  await client.captioning.removePreset('Mine');
  expect(await client.captioning.presets()).toHaveLength(4);
  const eve = new TrainyardClient({ baseUrl: server.url, token: (await server.api('eve')).token });
  await expect(eve.captioning.runs(id)).rejects.toMatchObject({ status: 404 });
});

test('the bytes of a caption are those that the model wrote', async () => {
  const id = await datasetOf({ a: null });
  models.llama.caption = () => 'été \u{1f682}';
  await captioned(id);
  const { files } = await client.status(id);
  const digest = createHash('sha256').update('été \u{1f682}').digest('hex');
  expect(files.find(({ filename }) => filename === 'a.txt')?.sha256).toBe(digest);
});
