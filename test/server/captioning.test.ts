import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type CaptionRun, type DatasetChange, TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { captionOf, type DialectServer, type Mode, startDialectServer } from '../harness/dialect-server.js';
import { folderWith } from '../harness/folder.js';
import { Gate } from '../harness/gate.js';
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
  const file = join(await temporaryFolder(), 'endpoints.json');
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

const clientWith = (token: string) => new TrainyardClient({ baseUrl: server.url, token });

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
  const endpointOf = async (name: string) =>
    (await client.captioning.endpoints()).find((endpoint) => endpoint.name === name);

  test('are listed with what their servers say, and without their URLs and keys', async () => {
    models.vllm.mode = 'rejects the key';
    const endpoints = await client.captioning.endpoints();
    const seeing = endpoints.map(({ name, vision }) => `${name} ${vision}`).join();
    expect(seeing).toBe('llama true,lm null,vllm null,ollama true,hasty null,whole null');
    for (const endpoint of endpoints) expect(endpoint).toMatchObject({ model: 'test-vl', reachable: true });
    expect(JSON.stringify(endpoints)).not.toMatch(/127\.0\.0\.1|secret/);

    // llama.cpp as a router of several models says of each whether it sees.
    const row = (id: string, input_modalities: string[]) => ({ id, architecture: { input_modalities } });
    models.llama.models = { data: [row('blind', ['text']), row('test-vl', ['text', 'image'])], object: 'list' };
    expect((await endpointOf('llama'))?.vision).toBe(true);
    models.llama.models = { data: [row('test-vl', ['text'])], object: 'list' };
    expect((await endpointOf('llama'))?.vision).toBe(false);

    models.vllm.models = { data: [{ id: 42 }, null, { id: 'a\0b' }, { name: {} }, { id: 'x'.repeat(501) }] };
    expect(await endpointOf('vllm')).toMatchObject({ model: null, error: expect.stringContaining('no model') });
  });

  test('are tested with a small picture', async () => {
    for (const name of ['vllm', 'ollama'] as const) {
      models[name].caption = () => 'a red square';
      expect(await client.captioning.test(name)).toMatchObject({ ok: true, text: 'a red square', outcome: null });
      const [{ pictures: [picture] = [], authorization, body } = {}] = models[name].asked;
      expect(await sharp(picture).metadata()).toMatchObject({ format: 'jpeg', width: 64, height: 64 });
      expect(authorization).toBe(name === 'vllm' ? `Bearer ${KEY}` : undefined);
      expect(body).toMatchObject({ model: 'test-vl', stream: false });
    }
    models.vllm.caption = () => 'x'.repeat(10_000_000);
    expect(await client.captioning.test('vllm')).toMatchObject({ ok: false, outcome: 'server_error' });
  });

  test('answer a test with the words of their server, but not with the key, which no redirect gets either', async () => {
    models.vllm.mode = 'rejects the key';
    const { ok, outcome, message } = await client.captioning.test('vllm');
    expect([ok, outcome]).toEqual([false, 'unauthorized']);
    expect(message).toMatch(/It answered 401: Incorrect API key provided: …\. The operator corrects the key/);
    models.vllm.mode = 'rejects the key in a success';
    const second = await client.captioning.test('vllm');
    expect(second).toMatchObject({ ok: false, message: expect.stringContaining('key provided: …. Its log') });
    models.vllm.mode = 'redirects';
    const followed = expect.stringContaining('redirects are not followed');
    expect(await client.captioning.test('vllm')).toMatchObject({ outcome: 'unreachable', message: followed });
    expect(server.output()).not.toContain(KEY);
  });
});

describe('a run', () => {
  test('counts first, stores captions of files without one in one revision, and proposes for the others', async () => {
    const id = await datasetOf({ a: null, b: null, c: 'by hand', d: null });
    await save(id, 'd.txt', 'typed');
    const plan = await client.captioning.plan(id, { files: 'all' });
    expect(plan.counts).toEqual({ without_caption: 2, by_model: 0, by_person: 2, others: 0 });
    expect(plan.summary).toBe(
      '2 without a caption, 2 by you: your 2 stay. What a model writes for a captioned one is a proposal.',
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

    const { files } = await client.manifest(id);
    const origins = Object.fromEntries(files.map(({ filename, origin }) => [filename, origin]));
    const byModel = { by: 'model', model: 'test-vl', preset: 'sentence' };
    expect(origins).toMatchObject({ 'a.txt': byModel, 'c.txt': undefined, 'd.txt': { by: 'person' } });
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

  test('shows a clip as frames with their times, or whole where the endpoint says so', async () => {
    const id = await api.newDataset();
    const clip = media.clip('faststart.mp4');
    await api.upload(id, 'clip.mp4', clip);
    const run = await captioned(id, { preset: 'clip', frames: 3 });
    expect(run.counts).toMatchObject({ applied: 1 });
    const [{ pictures = [], prompt = '' } = {}] = models.llama.asked;
    expect(prompt).toMatch(/^The pictures are frames of one clip, at 0, [\d.]+, [\d.]+ s\.\n\nDescribe this clip/);
    expect(pictures).toHaveLength(3);
    expect((await sharp(pictures[2]).metadata()).format).toBe('jpeg');
    await captioned(id, { endpoint: 'whole', preset: 'clip', files: 'all' });
    expect(models.vllm.asked.at(-1)?.pictures[0]?.equals(clip)).toBe(true);
  });

  test('asks the same question once, also in two runs at once and after an undo', async () => {
    const id = await datasetOf({ a: null, b: null, c: null });
    const started = await Promise.all([1, 2].map(() => client.captioning.start(id, { endpoint: 'vllm' })));
    await Promise.all(started.map(({ run }) => endOf(id, run!.id)));
    await client.history.undo(id, (await client.history.revisions(id)).revisions[0]!.number);
    expect(await captioned(id, { endpoint: 'vllm' })).toMatchObject({ counts: { applied: 3 } });
    expect(models.vllm.asked).toHaveLength(3);
    await client.history.undo(id, (await client.history.revisions(id)).revisions[0]!.number);
    await captioned(id, { endpoint: 'vllm', seed: 2 });
    expect(models.vllm.asked).toHaveLength(6);
    await captioned(id, { endpoint: 'vllm', files: 'all', prompt: 'Another one' });
    expect(models.vllm.asked).toHaveLength(9);
  });

  test('writes the .txt beside a structured caption, which stays as it is, in the bytes of the model', async () => {
    const id = await datasetOf({ a: null });
    await api.upload(id, 'a.json', '{"a": "wagon"}');
    models.llama.caption = () => 'été \u{1f682}';
    expect(await captioned(id)).toMatchObject({ state: 'done' });
    expect(await textsOf(id)).toEqual({ 'a.json': '{"a": "wagon"}', 'a.txt': 'été \u{1f682}' });
    expect(await api.text(id, 'a.txt')).toBe('été \u{1f682}');
  });

  test('never overwrites a caption that a person writes before the answer', async () => {
    const id = await datasetOf({ a: null, b: null });
    models.llama.mode = 'is cut off';
    await captioned(id);
    models.llama.caption = () => 'the same';
    models.llama.mode = async (): Promise<Mode> => {
      await save(id, 'a.txt', 'first');
      // As an attempt that stored it, and lost the answer.
      await save(id, 'b.txt', 'the same');
      return 'writes a caption';
    };
    const run = await captioned(id, { seed: 2 });
    expect(run).toMatchObject({ state: 'done', counts: { applied: 1, proposed: 1 } });
    expect((await textsOf(id))['a.txt']).toBe('first');
    const ofA = (await client.captioning.proposals(id)).proposals.filter(({ filename }) => filename === 'a.png');
    expect(ofA).toMatchObject([{ run: run.id, caption: 'a.txt', outdated: false }]);
  });

  test('stores nothing for pictures that are removed or replaced before its end, and proposes for the latter', async () => {
    const id = await datasetOf({ a: null, b: 'b1', c: null, d: null, e: null });
    await client.history.pin(id, 1);
    await api.upload(id, 'e.png', await media.png());
    const held = new Gate<Mode>();
    models.llama.mode = (_, index) => (index < 4 ? 'writes a caption' : held.opened);
    const { run } = await client.captioning.start(id, { endpoint: 'llama', files: 'all' });
    await eventually(async () => ((await client.captioning.run(id, run!.id)).counts.waiting === 1 ? true : undefined));
    await client.bulk.removeFiles(id, ['a.png', 'b.png']);
    await client.history.undo(id, 2);
    await api.upload(id, 'c.png', await media.png());
    held.open('writes a caption');
    const ended = await endOf(id, run!.id);
    expect(ended).toMatchObject({ state: 'done', total: 5, counts: { applied: 1, gone: 2, proposed: 2 } });
    expect(Object.keys(await textsOf(id))).toEqual(['b.txt', 'd.txt']);
  });

  test('stops after three failures of the model server in a row, and asks again when it is resumed', async () => {
    const id = await datasetOf({ a: null, b: null, c: null, d: null, e: null });
    models.llama.mode = 'fails';
    const stopped = await captioned(id);
    expect(stopped).toMatchObject({ state: 'stopped', reason: expect.stringContaining('CUDA out of memory') });
    expect(stopped.counts).toMatchObject({ failed: 3, waiting: 2, applied: 0 });
    expect(new Set(stopped.problems?.map(({ outcome }) => outcome))).toEqual(new Set(['server_error']));
    // In all more than three fail, but never three in a row.
    models.llama.mode = (_, index) => (index === 5 ? 'writes a caption' : 'fails');
    await client.captioning.resume(id, stopped.id);
    const ended = await endOf(id, stopped.id);
    expect(ended).toMatchObject({ state: 'done', reason: null, counts: { applied: 1, failed: 4 } });
    await client.bulk.removeFiles(id, [ended.problems![0]!.filename]);
    models.llama.mode = 'writes a caption';
    await client.captioning.resume(id, stopped.id);
    expect(await endOf(id, stopped.id)).toMatchObject({ state: 'done', counts: { applied: 4, gone: 1 } });
    expect(models.llama.asked).toHaveLength(11);
  });

  test('goes on with the other files after failures that are of one picture', async () => {
    const modes: Mode[] = ['refuses', 'filters', 'is silent', 'rejects the picture', 'writes too much', 'is cut off'];
    const id = await datasetOf({ a: null, b: null, c: null, d: null, e: null, f: null, g: null });
    models.llama.mode = (_, index) => modes[index] ?? 'writes a caption';
    const run = await captioned(id, { max_tokens: 32_768 });
    expect(run).toMatchObject({ state: 'done', counts: { failed: 5, applied: 1, proposed: 1 } });
    const outcomes = ['refused', 'refused', 'empty', 'image_rejected', 'rejected', 'cut_off'];
    expect(run.problems?.map(({ outcome }) => outcome).sort()).toEqual(outcomes.toSorted());
    const messages = run.problems?.map(({ message }) => message).join('\n');
    expect(messages).toContain('It has more than 65536 bytes. Write this caption by hand.');
    expect(messages).toContain('The answer was cut off. Edit the proposal');
    expect((await client.captioning.proposals(id)).proposals).toMatchObject([{ cut_off: true, base_etag: null }]);
  });

  test('waits while the server is busy, as long as Retry-After says', async () => {
    const id = await datasetOf({ a: null, b: null });
    const askedAt: number[] = [];
    models.lm.mode = () => (askedAt.push(Date.now()) === 1 ? 'is busy' : 'writes a caption');
    const { run } = await client.captioning.start(id, { endpoint: 'lm' });
    const busy = await eventually(async () => {
      const now = await client.captioning.run(id, run!.id);
      return now.busy_until === null ? undefined : now;
    });
    expect(busy).toMatchObject({ state: 'running', counts: { failed: 0, waiting: 2 } });
    expect(Date.parse(`${busy.busy_until}Z`) - Date.now()).toBeLessThan(4000);
    expect(await endOf(id, run!.id)).toMatchObject({ state: 'done', busy_until: null, counts: { applied: 2 } });
    expect(askedAt).toHaveLength(3);
    expect(askedAt[1]! - askedAt[0]!).toBeGreaterThan(2900);
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
    const held = new Gate<Mode>();
    models.llama.mode = (_, index) => (index < 2 ? 'writes a caption' : held.opened);
    const { run } = await client.captioning.start(id, { endpoint: 'llama' });
    await eventually(async () => ((await client.captioning.run(id, run!.id)).counts.ready === 2 ? true : undefined));
    // A run on another server does not wait for it.
    expect(await captioned(await datasetOf({ e: null }), { endpoint: 'lm' })).toMatchObject({ counts: { applied: 1 } });
    await client.captioning.stop(id, run!.id);
    const stopped = await endOf(id, run!.id);
    expect(stopped).toMatchObject({ state: 'stopped', reason: null, counts: { applied: 2, waiting: 2 } });
    expect(Object.keys(await textsOf(id))).toHaveLength(2);
    // The third was asked before the stop, and its answer kept, as one that was cut off.
    const [third] = models.llama.asked[2]!.pictures;
    models.llama.mode = ({ pictures: [shown] }) => (shown?.equals(third!) ? 'is cut off' : 'writes a caption');
    held.open('is cut off');
    // Has its turn after the third.
    await client.captioning.test('llama');
    expect((await client.captioning.run(id, run!.id)).counts).toMatchObject({ waiting: 2 });
    await client.captioning.resume(id, run!.id);
    expect(await endOf(id, run!.id)).toMatchObject({ state: 'done', counts: { applied: 3, proposed: 1 } });
    expect(new Set(models.llama.asked.map(({ pictures: [picture] }) => picture?.toString('base64'))).size).toBe(5);
    expect(models.llama.asked.length).toBeLessThanOrEqual(6);
  });

  test('continues after the server was killed, and asks again only what was not answered; beyond a limit it proposes', async () => {
    const env = { MODEL_KEY: KEY };
    const brief = { ...settings, 'lease-seconds': 5 };
    const killed = await startServer(brief, { env });
    const before = new TrainyardClient({ baseUrl: killed.url, token: (await killed.api()).token });
    const id = await datasetOf({ a: null, b: null, c: null, d: null }, await killed.api());
    const removed = await datasetOf({ e: null }, await killed.api());
    models.vllm.mode = 'hang';
    const other = await before.captioning.start(removed, { endpoint: 'vllm' });
    models.llama.mode = (_, index) => (index < 2 ? 'writes a caption' : 'hang');
    const { run } = await before.captioning.start(id, { endpoint: 'llama' });
    await eventually(() => (models.llama.asked.length === 3 ? true : undefined));
    await eventually(async () => ((await before.captioning.run(id, run!.id)).counts.ready === 2 ? true : undefined));
    await killed.stop('SIGKILL');
    models.llama.mode = 'writes a caption';
    const none = join(await folderWith({ none: '[]' }), 'none');
    const fewer = { ...brief, 'caption-endpoints': none, 'max-dataset-files': 8 };
    const next = await startServer(fewer, { env, dataFolder: killed.dataFolder });
    onTestFinished(() => discardServer(next));
    const after = new TrainyardClient({ baseUrl: next.url, token: (await next.api()).token });
    expect(await endOf(id, run!.id, after)).toMatchObject({ state: 'done', counts: { applied: 4 } });
    expect(models.llama.asked).toHaveLength(5);
    const reason = expect.stringContaining('removed the endpoint vllm');
    expect(await endOf(removed, other.run!.id, after)).toMatchObject({ state: 'stopped', reason });

    const full = await datasetOf({ a: null, b: null, c: 'c1', d: 'd1', e: 'e1' }, await next.api());
    const limited = await captioned(full, {}, after);
    expect(limited).toMatchObject({ state: 'stopped', counts: { applied: 0, ready: 0, proposed: 2 } });
    expect(limited.reason).toMatch(/^The captions became proposals: /);
  });

  test('is followed in the events of its dataset, which a share does not see, by webhooks and by the metrics', async () => {
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const webhook = await client.webhooks.add(receiver.url, { events: ['captions.finished'] });
    const id = await datasetOf({ a: null, b: null });
    const share = await client.shares.make(id);
    const [events, shared] = [client.events(id), clientWith(share.secret).events(id)];
    for (const stream of [events, shared]) expect((await stream.next()).value).not.toHaveProperty('caption_runs');
    const held = new Gate<Mode>();
    models.llama.mode = (_, index) => (index === 0 ? 'writes a caption' : held.opened);
    const { run } = await client.captioning.start(id, { endpoint: 'llama' });
    const seen = async (isSeen: (run: CaptionRun) => boolean) => {
      for (;;) {
        const { caption_runs: runs = [] } = (await events.next()).value as DatasetChange;
        const [found] = runs.filter((each) => each.id === run!.id && isSeen(each));
        if (found !== undefined) return found;
      }
    };
    expect(await seen(({ counts }) => counts.ready === 1)).toMatchObject({ state: 'running', total: 2 });
    held.open('writes a caption');
    expect(await seen(({ state }) => state === 'done')).toMatchObject({ counts: { applied: 2 } });
    await events.return(undefined);
    for (let names: string[] = []; !names.includes('b.txt'); ) {
      const { value } = await shared.next();
      expect(value).not.toHaveProperty('caption_runs');
      names = (value as DatasetChange).files?.map(({ filename }) => filename) ?? [];
    }
    await shared.return(undefined);
    const [event] = await eventually(() => (receiver.received.length > 0 ? receiver.events() : undefined));
    const counts = { applied: 2 };
    expect(event).toMatchObject({ type: 'captions.finished', data: { id, run: { id: run!.id, counts } } });
    await client.webhooks.remove(webhook.id);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/trainyard_caption_requests_total{outcome="written"} [1-9]/);
    expect(metrics).toMatch(/trainyard_captions_in_flight 0/);
  });

  test('is one of at most ten of its account that are not done', async () => {
    const id = await datasetOf({ a: null });
    models.vllm.mode = 'hang';
    const start = () => client.captioning.start(id, { endpoint: 'vllm' });
    for (let more = 0; more < 10; more++) await start();
    await expect(start()).rejects.toMatchObject({ status: 507 });
    const [stopped] = await client.captioning.runs(id);
    await client.captioning.stop(id, stopped!.id);
    await endOf(id, stopped!.id);
    await start();
    await expect(client.captioning.resume(id, stopped!.id)).rejects.toMatchObject({ status: 507 });
    for (const { id: run } of await client.captioning.runs(id)) await client.captioning.stop(id, run);
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
    const missing = await api.json('POST', '/caption-endpoints/none/test', {});
    const all = expect.stringContaining('llama, lm, vllm, ollama, hasty');
    expect(missing).toMatchObject({ status: 404, body: { error_code: 404011, error_message: all } });
    const secretOf = async (rights: object) => (await client.tokens.make(rights)).secret;
    const reader = clientWith(await secretOf({ readOnly: true }));
    expect(await reader.captioning.runs(id)).toEqual([]);
    expect((await reader.captioning.plan(id, { filenames: ['a.png'] })).counts).toMatchObject({ without_caption: 1 });
    await expect(reader.captioning.start(id)).rejects.toMatchObject({ status: 403 });
    const bound = clientWith(await secretOf({ datasets: [id] }));
    expect((await captioned(id, {}, bound)).counts).toMatchObject({ applied: 1 });
    await expect(bound.captioning.savePreset('mine', 'x')).rejects.toMatchObject({ status: 403 });
    const share = await client.shares.make(id);
    await expect(clientWith(share.secret).captioning.endpoints()).rejects.toMatchObject({ status: expect.any(Number) });
  });
});

describe('proposals', () => {
  afterEach(() => expect(server.output()).not.toMatch(/"level":50/));

  test('accepted in a review are one revision, with the origin of each; one that an edit has outdated is not accepted', async () => {
    const id = await datasetOf({ a: 'a1', b: 'b1', c: 'c1', d: 'd1' });
    await captioned(id, { files: 'all', preset: 'tags' });
    await save(id, 'c.txt', 'c2');
    const [a, b, c, d] = (await client.captioning.proposals(id)).proposals;
    const light = await client.captioning.proposals(id, { texts: 'false', limit: 20_000 });
    expect(light.proposals.map(({ filename, text, outdated }) => [filename, text, outdated])).toEqual(
      ['a', 'b', 'c', 'd'].map((name) => [`${name}.png`, undefined, name === 'c']),
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
    // Restored versions have their origins.
    await client.history.undo(id, second.revision!);
    expect(await textsOf(id)).toMatchObject({ 'a.txt': 'a1', 'b.txt': 'b1', 'c.txt': 'c2' });
    await client.history.undo(id, second.revision! + 1);
    const restored = (await client.status(id)).files.find(({ filename }) => filename === 'a.txt');
    expect(restored?.origin).toMatchObject({ by: 'model' });
  });

  test('are replaced by those of a later run, page by page, and not open while their images are removed', async () => {
    const id = await datasetOf({ a: 'a1', b: 'b1', c: 'c1' });
    const first = await captioned(id, { files: 'all' });
    const second = await captioned(id, { files: 'all', filenames: ['a.png', 'b.png'], seed: 2 });
    expect(second.total).toBe(2);
    const page = await client.captioning.proposals(id, { limit: 2 });
    expect(page.proposals.map(({ run }) => run)).toEqual([second.id, second.id]);
    const rest = await client.captioning.proposals(id, { limit: 2, after: page.next_after! });
    expect(rest).toMatchObject({ proposals: [{ run: first.id, filename: 'c.png' }], next_after: null, total: 3 });
    expect((await client.captioning.run(id, first.id)).counts).toMatchObject({ proposed: 1, decided: 2 });
    // Of the runs before the last 20, those with open proposals are kept.
    for (let more = 0; more < 20; more++) await captioned(id, { files: 'all', filenames: ['b.png'], seed: 2 });
    const kept = (await client.captioning.runs(id)).map((run) => run.id);
    expect([kept.length, kept.slice(-2)]).toEqual([22, [second.id, first.id]]);

    await client.bulk.removeFiles(id, ['a.png', 'a.txt']);
    expect((await client.captioning.proposals(id)).total).toBe(2);
    const accept = [{ id: page.proposals[0]!.id }];
    expect((await client.captioning.decide(id, { accept })).accepted).toMatchObject([{ outcome: 'not_open' }]);
    expect(await textsOf(id)).toEqual({ 'b.txt': 'b1', 'c.txt': 'c1' });
    await client.history.undo(id, (await client.history.revisions(id)).revisions[0]!.number);
    expect((await client.captioning.proposals(id)).total).toBe(3);
  });
});

test('prompts are saved for the account, beside the built-in ones', async () => {
  await client.captioning.savePreset('Mine', 'Only {name}');
  await client.captioning.savePreset('Mine', 'Only about {name}');
  const presets = await client.captioning.presets();
  const builtin = ['tags', 'sentence', 'paragraph', 'clip'];
  expect(presets.map((preset) => (preset.builtin ? preset.name : [preset.name]))).toEqual([...builtin, ['Mine']]);
  const id = await datasetOf({ a: null });
  await captioned(id, { preset: 'Mine' });
  expect(models.llama.asked[0]?.prompt).toBe('Only about a');
  await expect(client.captioning.savePreset('tags', 'x')).rejects.toMatchObject({ status: 422 });
  await Promise.all(Array.from({ length: 99 }, (_, i) => client.captioning.savePreset(`p${i}`, 'x')));
  await expect(client.captioning.savePreset('one more', 'x')).rejects.toMatchObject({ status: 507 });
  await client.captioning.removePreset('Mine');
  expect(await client.captioning.presets()).toHaveLength(4 + 99);
  expect(await clientWith((await server.api('eve')).token).captioning.presets()).toHaveLength(4);
});

test('another account sees no run, proposal or answer of an account', async () => {
  const eve = await server.api('eve');
  const other = clientWith(eve.token);
  const id = await datasetOf({ a: 'a1' });
  shade--;
  const theirs = await datasetOf({ a: 'a1' }, eve);
  const run = await captioned(id, { files: 'all' });
  const [{ id: proposal } = { id: '' }] = (await client.captioning.proposals(id)).proposals;
  for (const dataset of [id, theirs])
    await expect(other.captioning.stop(dataset, run.id)).rejects.toMatchObject({ status: 404 });
  const decided = await other.captioning.decide(theirs, { accept: [{ id: proposal }], dismiss: [proposal] });
  expect(decided).toMatchObject({ accepted: [{ outcome: 'not_open' }], dismissed: [] });
  await captioned(theirs, { files: 'all' }, other);
  expect(models.llama.asked).toHaveLength(2);
});
