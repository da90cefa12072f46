import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestWithLinks } from '../../../src/dataset/digest.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { trainyard } from '../../harness/command.js';
import { digestOfFolder, mountedIn, newRoot } from '../../harness/mounting.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

const PAIRS = 6;
const MOUNTS = 4;

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));

test.each([
  ['a service', () => ['--wait']],
  ['a data folder', () => ['--data', server.dataFolder]],
] as const)(
  'each mount from %s is one moment while target and control change all the time',
  async (kind, args) => {
    const [name, controlName] = [`moments of ${kind}`, `controls of ${kind}`];
    const target = (await api.json<{ id: string }>('POST', '', { name })).body.id;
    const control = (await api.json<{ id: string }>('POST', '', { name: controlName, role: 'control' })).body.id;
    for (let i = 0; i < PAIRS; i++) {
      await api.upload(target, `${i}.jpg`, await media.jpeg({ seed: i }));
      await api.upload(target, `${i}.txt`, 'at first');
      await api.upload(control, `${i}.jpg`, await media.jpeg({ seed: 20 + i }));
    }
    await api.json('PUT', `/${target}/links`, { control_1: control });
    const variants = await Promise.all([30, 31, 32].map((seed) => media.jpeg({ seed })));
    let isChanging = true;
    const change = async () => {
      for (let n = 0; isChanging; n++) {
        await api.upload(target, `${n % PAIRS}.txt`, `change ${n}`);
        await api.upload(control, `${n % PAIRS}.jpg`, variants[n % variants.length]!);
      }
    };
    const changes = change();
    try {
      const root = await newRoot();
      const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token, TRAINYARD_CAPTION_GRACE_SECONDS: '0' };
      const digests = new Set<string>();
      while (digests.size < MOUNTS) {
        const ended = await trainyard(['mount', name, '--into', root, ...args(), '--json'], { env });
        // An upload may be in flight just then.
        expect([0, 75], ended.stdout).toContain(ended.code);
        if (ended.code !== 0) continue;
        const { digest, mounted_with: together } = JSON.parse(await readFile(join(root, name, '.mount.json'), 'utf8'));
        const found = await Promise.all([name, controlName].map((each) => digestOfFolder(join(root, each))));
        expect(digestWithLinks(found[0]!, [{ slot: 'control_1', digest: found[1]! }])).toBe(digest);
        expect(together.map((each: { digest: string }) => each.digest)).toEqual([digest, found[1]]);
        expect(await mountedIn(root)).toEqual([controlName, name].sort());
        digests.add(digest);
      }
    } finally {
      isChanging = false;
      await changes;
    }
  },
  300_000,
);
