import { afterAll, beforeAll, expect, test } from 'vitest';
import { forEachConcurrent } from '../../src/for-each-concurrent.js';
import * as media from '../fixtures/media.js';
import { IS_ALL } from '../harness/available.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { seededRandom } from './random.js';

const ROUNDS = IS_ALL ? 20 : 2;
const CONNECTIONS = 8;

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
});
afterAll(() => discardServer(server));

type Damage = (bytes: Buffer, random: () => number) => Buffer;

const DAMAGES: Record<string, Damage> = {
  cut: (bytes, random) => bytes.subarray(0, Math.floor(bytes.length * (0.2 + 0.7 * random()))),
  zeroed: (bytes, random) => {
    const start = Math.floor(bytes.length * (0.3 + 0.5 * random()));
    return media.damaged.zeroed(bytes, { start, end: Math.min(bytes.length, start + 400) });
  },
  flipped: (bytes, random) => media.damaged.flipped(bytes, Math.floor(bytes.length * (0.1 + 0.8 * random()))),
  random: (bytes, random) => {
    const changed = Buffer.from(bytes);
    const start = Math.floor(bytes.length * (0.2 + 0.6 * random()));
    for (let at = start; at < Math.min(bytes.length, start + 64); at++) changed[at] = Math.floor(256 * random());
    return changed;
  },
};

async function damagedFiles(): Promise<Map<string, Buffer>> {
  const intact: Record<string, Buffer> = {
    'plain.jpg': await media.jpeg(),
    'progressive.jpg': await media.jpeg({ progressive: true }),
    'deflated.png': await media.png(),
    'lossy.webp': await media.webp(),
    'lossless.webp': await media.webp({ lossless: true }),
    'b.gif': await media.gif(),
    'c.tif': await media.tiff(),
    'd.avif': await media.avif(),
    'e.mp4': media.clip('faststart.mp4'),
    'f.webm': media.clip('vp9.webm'),
  };
  const files = new Map<string, Buffer>();
  for (const [name, bytes] of Object.entries(intact)) {
    for (const [damage, apply] of Object.entries(DAMAGES)) {
      files.set(`${damage}-${name}`, apply(bytes, seededRandom(files.size + 1)));
    }
  }
  return files;
}

/** The items in an order of their own for each seed. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

test('damaged files get the same verdict and message in every order and beside any other files', async () => {
  const api = await server.api();
  const files = [...(await damagedFiles())];
  expect(files).toHaveLength(40);
  const verdicts = new Map<string, Set<string>>(files.map(([name]) => [name, new Set()]));
  for (let round = 0; round < ROUNDS; round++) {
    const id = await api.newDataset();
    const found = new Map<string, string[]>();
    await forEachConcurrent(shuffled(files, seededRandom(round)), CONNECTIONS, async ([name, bytes]) => {
      const { status, body } = await api.upload(id, name, bytes);
      found.set(name, [`${status} ${body.error_message ?? ''}`]);
    });
    const { body } = await eventually(async () => {
      const answer = await api.status(id);
      return answer.body.status === 'UPLOADING' ? undefined : answer;
    });
    for (const { filename, message } of [...body.warnings, ...(body.error?.problems ?? [])]) {
      if (filename !== undefined) found.get(filename)?.push(message);
    }
    for (const [name, lines] of found) verdicts.get(name)!.add(lines.join('\n'));
  }
  for (const [name, seen] of verdicts) expect([...seen], name).toHaveLength(1);
});
