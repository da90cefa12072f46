import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { startDialectServer } from '../harness/dialect-server.js';
import { serverUntil } from '../harness/server.js';
import { flipBit, pathOfBytes } from '../harness/transferring.js';
import { commandsOn } from './commands.js';

const model = await startDialectServer('llama.cpp');
afterAll(() => model.close());
const settings = { 'caption-endpoint': `local=${model.setting}`, 'caption-grace-seconds': 0 };
const server = await serverUntil(afterAll, settings);
const { api, run: trainyard } = await commandsOn(server);
beforeEach(() => {
  Object.assign(model, { mode: 'writes a caption', caption: () => 'a blue wagon' });
});

const run = (...args: string[]) => trainyard(args);

let seed = 0;

async function datasetOf(name: string, captions: Record<string, string | undefined>): Promise<string> {
  const id = await api.newDataset(name);
  for (const [stem, text] of Object.entries(captions)) {
    await api.upload(id, `${stem}.jpg`, await media.jpeg({ seed: ++seed }));
    if (text !== undefined) await api.upload(id, `${stem}.txt`, text);
  }
  return id;
}

describe('caption', () => {
  test('counts, writes what is missing, and proposes what is not', async () => {
    const id = await datasetOf('wagons', { a: undefined, b: 'a red wagon' });
    const dry = await run('caption', 'wagons', '--all', '--dry-run');
    expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining('1 without a caption')]);
    expect(await api.filenames(id)).toEqual(['a.jpg', 'b.jpg', 'b.txt']);
    const done = await run('caption', 'wagons', '--all', '--endpoint', 'local', '--trigger', 'p3nny', '--wait');
    expect(done.code).toBe(0);
    expect(done.stdout).toMatch(
      /^1 caption, 1 proposal, 0 failed\.\nTo take the captions back, run: .*undo wagons \d+\n/,
    );
    expect(done.stdout).toContain('proposals wagons');
    expect([await api.text(id, 'a.txt'), await api.text(id, 'b.txt')]).toEqual(['p3nny, a blue wagon', 'a red wagon']);
    expect((await run('caption', 'wagons', '--missing')).stdout).toBe('No file is left to caption.\n');
    const { stdout } = await run('caption', 'wagons', '--runs');
    expect(stdout).toMatch(/^started.*\n.*test-vl +sentence +done +1 stored, 1 proposed\n$/i);
    expect((await run('caption', 'wagons', '--stop')).stdout).toContain('No run of this dataset is active.');
  });

  test('asks without a caption whose bytes are damaged', async () => {
    await datasetOf('damaged', { a: 'a caption on a failing disk' });
    await flipBit(await pathOfBytes(server.dataFolder, 'a caption on a failing disk'));
    const { stdout } = await run('caption', 'damaged', '--all', '--prompt', 'Not as {caption}', '--wait');
    expect(stdout).toMatch(/^0 captions, 1 proposal, 0 failed/);
  });

  test('ends with a code that tells what became of the run', async () => {
    await datasetOf('fails', { a: undefined, b: undefined, c: undefined, d: undefined });
    model.mode = (_, index) => (index % 4 === 0 ? 'refuses' : 'writes a caption');
    model.asked.length = 0;
    const some = await run('caption', 'fails', '--wait');
    expect([some.code, some.stderr]).toEqual([74, expect.stringMatching(/^! [a-d]\.jpg: The model refused/)]);
    await datasetOf('blind', { a: undefined, b: undefined, c: undefined, d: undefined });
    model.mode = "can't see";
    const none = await run('caption', 'blind', '--wait', '--json');
    expect([none.code, none.json().run.state]).toEqual([75, 'stopped']);
    for (const [code, ...args] of [
      [64, 'blind', '--missing', '--all'],
      [66, 'blind', '--endpoint', 'unknown'],
    ] as const) {
      expect([args, (await run('caption', ...args)).code]).toEqual([args, code]);
    }
  });
});

describe('proposals', () => {
  test('are listed with the words that differ, accepted as one revision, and dismissed', async () => {
    const id = await datasetOf('depot', { a: 'a red wagon', b: 'a red wagon', c: 'a red wagon', d: 'a red wagon' });
    await run('caption', 'depot', '--all', '--wait');
    const list = await run('proposals', 'depot');
    expect(list.stdout).toContain('a.jpg  by test-vl\n    a [-red-]{+blue+} wagon\n');
    await api.upload(id, 'c.txt', 'words of a person');
    expect((await run('proposals', 'depot', 'c.jpg')).stdout).toContain('c.jpg  by test-vl, outdated');
    const accepted = await run('proposals', 'depot', 'a.jpg', 'c.jpg', '--accept');
    expect(accepted.code).toBe(73);
    expect(accepted.stdout).toMatch(/^Accepted 1 proposal as revision \d+\.\n! c\.jpg: outdated\n$/);
    expect((await run('proposals', 'depot', '--dismiss')).code).toBe(64);
    expect((await run('proposals', 'depot', '--dismiss', '--yes')).stdout).toBe('Dismissed 3 proposals.\n');
    expect((await run('proposals', 'depot')).stdout).toBe('No proposal waits for a decision.\n');
    expect((await run('proposals', 'depot', 'x.jpg')).code).toBe(66);
    const texts = await Promise.all(['a', 'b', 'c'].map((stem) => api.text(id, `${stem}.txt`)));
    expect(texts).toEqual(['a blue wagon', 'a red wagon', 'words of a person']);
  });

  test('that were cut off are accepted only by their names', async () => {
    const id = await datasetOf('short', { a: 'a red wagon', b: 'a red wagon' });
    // Either may be asked first.
    model.mode = ({ prompt }) => (prompt.startsWith('Of a') ? 'is cut off' : 'writes a caption');
    await run('caption', 'short', '--all', '--wait', '--prompt', 'Of {name}');
    const all = await run('proposals', 'short', '--accept', '--yes');
    expect([all.code, all.stdout]).toEqual([0, expect.stringMatching(/^Accepted 1 proposal as revision \d+\.\n/)]);
    expect(all.stdout).toContain('1 proposal was cut off. To accept one as it is, name its file.\n');
    expect(await api.text(id, 'a.txt')).toBe('a red wagon');
    expect((await run('proposals', 'short', '--accept', '--yes')).stdout).toMatch(/^1 proposal was cut off/);
    expect((await run('proposals', 'short', 'a.jpg', '--accept')).stdout).toContain('Accepted 1 proposal');
  });
});
