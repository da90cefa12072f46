import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { digestWithLinks } from '../../../src/dataset/digest.js';
import * as media from '../../fixtures/media.js';
import type {} from '../../harness/api.js';
import { IS_ALL } from '../../harness/available.js';
import { ONLY_PROGRESS, trainyard } from '../../harness/command.js';
import { digestOfFolder, leaveLitter, mountedIn, newRoot, stateOf } from '../../harness/mounting.js';
import { discardServer, startServer } from '../../harness/server.js';
import { trainerCounterparts, trainerWalk } from '../../harness/trainer.js';

const PAIRS = 4;

const server = await startServer({ 'caption-grace-seconds': 0 });
afterAll(() => discardServer(server));
const api = await server.api();

const run = (args: readonly string[]) => {
  const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token, TRAINYARD_CAPTION_GRACE_SECONDS: '0' };
  return trainyard(args, { env });
};

const jsonOf = (body: object) => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });

async function newDataset(name: string, role: 'training' | 'control' | 'mask'): Promise<string> {
  const { status, body } = await api.request('POST', '', jsonOf({ name, role }));
  expect(status).toBe(200);
  return (body as { id: string }).id;
}

/** A target of four images, with four controls, whose extensions are in upper case unless another is given, and masks. */
async function edit(name: string, extension = 'PNG') {
  const target = await newDataset(name, 'training');
  const control = await newDataset(`${name}-depth`, 'control');
  const mask = await newDataset(`${name}-mask`, 'mask');
  for (let i = 0; i < PAIRS; i++) {
    await api.upload(target, `${i}.jpg`, await media.jpeg({ seed: i }));
    await api.upload(target, `${i}.txt`, `edit ${i}`);
    await api.upload(control, `${i}.${extension}`, await media.png({ seed: i }));
    await api.upload(mask, `${i}.png`, await media.png({ seed: 50 + i }));
  }
  const links = { control_1: `${name}-depth`, mask: `${name}-mask` };
  expect((await api.request('PUT', `/${target}/links`, jsonOf(links))).status).toBe(200);
  expect((await api.status(target)).body.status).toBe('READY');
  return { target, control, mask, names: [name, `${name}-depth`, `${name}-mask`] };
}

const recordOf = async (root: string, name: string) =>
  JSON.parse(await readFile(join(root, name, '.mount.json'), 'utf8'));

/** Over HTTP, and straight from the data folder. */
const SOURCES = [
  ['service', () => []],
  ['data folder', () => ['--data', server.dataFolder]],
] as const;

describe.each(SOURCES)('mounting a dataset with links from a %s', (kind, sourceArgs) => {
  // The other source repeats the proof.
  const tags = { tags: kind === 'service' ? [] : ['long'] };
  const named = (name: string) => `${name} ${kind}`;

  test('the trainer finds a control and a mask for each target, and the records name the digests of all', async () => {
    const { target, control, names } = await edit(named('walk'));
    await api.upload(control, '3.txt', 'an unused caption');
    const root = await newRoot();
    const ended = await run(['mount', names[0]!, '--into', root, ...sourceArgs(), '--json']);
    expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    expect(await mountedIn(root)).toEqual([...names].sort());
    const [own, depth, mask] = names.map((name) => join(root, name)) as [string, string, string];
    expect(trainerWalk(own)).toHaveLength(PAIRS);
    const stems = trainerWalk(own).map(({ path }) => path.replace('.jpg', ''));
    expect(trainerCounterparts(own, depth)).toEqual(stems.map((stem) => `${stem}.png`));
    expect(trainerCounterparts(own, mask)).toEqual(stems.map((stem) => `${stem}.png`));
    // diffusion-pipe would take a caption for the control.
    expect((await readdir(depth)).filter((name) => name.endsWith('.txt'))).toEqual([]);
    const { digest } = (await api.manifest(target)).body;
    const records = await Promise.all(names.map((name) => recordOf(root, name)));
    expect(records[0].digest).toBe(digest);
    const [, ...linked] = records[0].mounted_with;
    const slots = linked.map(({ as, digest: of }: { as: 'control_1' | 'mask'; digest: string }) => ({
      slot: as,
      digest: of,
    }));
    expect(digestWithLinks(await digestOfFolder(own), slots)).toBe(digest);
    expect(ended.json().mounts[0].linked.map(({ as, name }: { as: string; name: string }) => [as, name])).toEqual([
      ['control_1', names[1]],
      ['mask', names[2]],
    ]);
    const before = await stateOf(root);
    const again = await run(['mount', ...names, '--into', root, ...sourceArgs(), '--json']);
    expect(again.json().mounts.map(({ outcome }: { outcome: string }) => outcome)).toEqual(
      names.map(() => 'unchanged'),
    );
    expect(await stateOf(root)).toEqual(before);
    // A control that is named beside its target stays in the state that it has with it.
    await api.upload(control, '3.PNG', await media.png({ seed: 70 }));
    const both = await run(['mount', names[0]!, names[1]!, '--into', root, ...sourceArgs(), '--json']);
    const [first, second] = both.json().mounts;
    expect(first).toMatchObject({ outcome: 'mounted', linked: [{ ...second, as: 'control_1' }, { as: 'mask' }] });
  });

  test('a changed control replaces target and control; its digest brings both back as they were', tags, async () => {
    const { target, control, names } = await edit(named('moments'));
    const root = await newRoot();
    const mount = (...more: string[]) => run(['mount', names[0]!, '--into', root, ...sourceArgs(), ...more]);
    expect((await mount()).code).toBe(0);
    const { digest } = (await api.manifest(target)).body;
    const first = await digestOfFolder(join(root, names[1]!));
    const mask = await stateOf(join(root, names[2]!));
    await leaveLitter(join(root, names[0]!));
    await api.upload(control, '3.PNG', await media.png({ seed: 99 }));
    expect((await mount()).code).toBe(0);
    // The texts that the trainer has cached are of the old control.
    expect(existsSync(join(root, names[0]!, '_t_e_cache'))).toBe(false);
    expect(await digestOfFolder(join(root, names[1]!))).not.toBe(first);
    expect((await stateOf(join(root, names[2]!))).filter((line) => !line.includes('.mount.json'))).toEqual(
      mask.filter((line) => !line.includes('.mount.json')),
    );
    expect((await mount('--digest', digest!)).code).toBe(0);
    expect(await digestOfFolder(join(root, names[1]!))).toBe(first);
    expect((await recordOf(root, names[0]!)).digest).toBe(digest);
  });
});

describe('of a dataset with links', () => {
  test('a revision is mounted with the last controls of its time; without any, it is refused', async () => {
    const { target, control, names } = await edit('revisions');
    const root = await newRoot();
    const mount = (...more: string[]) => run(['mount', names[0]!, '--into', root, ...more]);
    const controls = () => digestOfFolder(join(root, names[1]!));
    const { revision } = (await api.manifest(target)).body;
    // A file that is replaced begins a revision.
    await api.upload(control, '3.PNG', await media.png({ seed: 99 }));
    expect((await mount()).code).toBe(0);
    const [of, images] = [await controls(), await digestOfFolder(join(root, names[0]!))];
    await api.upload(target, '3.jpg', await media.jpeg({ seed: 98 }));
    await api.upload(control, '3.PNG', await media.png({ seed: 97 }));
    expect((await mount()).code).toBe(0);
    expect(await controls()).not.toBe(of);
    expect((await mount('--revision', String(revision))).code).toBe(0);
    expect([await controls(), await digestOfFolder(join(root, names[0]!))]).toEqual([of, images]);

    const later = await newDataset('later', 'control');
    for (let i = 0; i < PAIRS; i++) await api.upload(later, `${i}.png`, await media.png({ seed: i }));
    expect((await api.request('PUT', `/${target}/links`, jsonOf({ control_1: later }))).status).toBe(200);
    const refused = await mount('--revision', String(revision));
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('No READY states of the controls');
  });

  test('a missing control is said, and nothing is mounted', async () => {
    const { control, names } = await edit('five');
    await api.request('DELETE', `/${control}/files/2.PNG`);
    const root = await newRoot();
    expect((await run(['mount', names[0]!, '--into', root])).code).toBe(65);
    expect(await mountedIn(root)).toEqual([]);
  });

  test('a folder in the way of a control is not replaced, and the target is not mounted either', async () => {
    const { names } = await edit('foreign');
    const root = await newRoot();
    await mkdir(join(root, names[1]!));
    await writeFile(join(root, names[1]!, 'mine.txt'), 'mine');
    for (const more of [[], ['--replace']]) {
      expect((await run(['mount', names[0]!, '--into', root, ...more])).code).toBe(73);
      expect(await mountedIn(root)).toEqual([names[1]]);
    }
    expect(await readFile(join(root, names[1]!, 'mine.txt'), 'utf8')).toBe('mine');
  });

  test('the folder of an earlier dataset with the name of a mask is replaced, and only if the mask is named when it was changed', async () => {
    const { target, mask, names } = await edit('recreated');
    const root = await newRoot();
    const mount = (...args: string[]) => run(['mount', ...args, '--into', root]);
    expect((await mount(names[2]!)).code).toBe(0);
    const notes = join(root, names[2]!, 'notes.md');
    await writeFile(notes, 'mine');
    const link = async (links: object) =>
      expect((await api.request('PUT', `/${target}/links`, jsonOf(links))).status).toBe(200);
    const recreate = async (id: string, seed: number) => {
      await link({ control_1: names[1] });
      expect((await api.request('DELETE', `/${id}`)).status).toBe(200);
      const later = await newDataset(names[2]!, 'mask');
      for (let i = 0; i < PAIRS; i++) await api.upload(later, `${i}.png`, await media.png({ seed: seed + i }));
      await link({ control_1: names[1], mask: names[2] });
      return later;
    };
    const later = await recreate(mask, 50);
    for (const more of [[], ['--replace']]) {
      const { code, stderr } = await mount(names[0]!, ...more);
      expect([code, stderr]).toEqual([73, expect.stringContaining('"notes.md"')]);
      expect([await mountedIn(root), await readFile(notes, 'utf8')]).toEqual([[names[2]], 'mine']);
    }
    expect((await mount(names[0]!, names[2]!, '--replace')).code).toBe(0);
    expect([(await recordOf(root, names[2]!)).dataset_id, existsSync(notes)]).toEqual([later, false]);
    const latest = await recreate(later, 60);
    expect((await mount(names[0]!)).code).toBe(0);
    const record = await recordOf(root, names[2]!);
    expect(record.dataset_id).toBe(latest);
    // A name of another service says nothing about its dataset.
    const foreign = { ...record, dataset_id: 'd1', digest: '', source: 'http://elsewhere' };
    await writeFile(join(root, names[2]!, '.mount.json'), JSON.stringify(foreign));
    expect((await mount(names[0]!)).code).toBe(73);
  });

  test('a renamed control gets a new folder, and a warning names the old one', async () => {
    const { control, names } = await edit('before');
    const root = await newRoot();
    await run(['mount', names[0]!, '--into', root]);
    const renamed = 'after';
    expect((await api.request('PATCH', `/${control}`, jsonOf({ name: renamed }))).status).toBe(200);
    const ended = await run(['mount', names[0]!, '--into', root, '--json']);
    const warnings = [expect.stringContaining(join(root, names[1]!))];
    expect(ended.json().mounts[0].linked[0]).toMatchObject({ name: renamed, outcome: 'mounted', warnings });
    expect(await mountedIn(root)).toEqual([...names, renamed].sort());
    expect((await recordOf(root, names[0]!)).mounted_with[1].name).toBe(renamed);
  });

  test('OneTrainer finds the mask beside the image', async () => {
    const { names } = await edit('one');
    const root = await newRoot();
    const args = ['mount', names[0]!, '--into', root];
    expect((await run([...args, '--layout', 'onetrainer'])).code).toBe(0);
    expect(await mountedIn(root)).toEqual([names[0]]);
    const files = (await readdir(join(root, names[0]!))).filter((name) => !name.startsWith('.'));
    expect(files.filter((name) => name.endsWith('-masklabel.png')).sort()).toEqual(
      Array.from({ length: PAIRS }, (_, i) => `${i}-masklabel.png`).sort(),
    );
    expect(files).toHaveLength(3 * PAIRS);
    expect((await run(args)).code).toBe(0);
    expect(await mountedIn(root)).toEqual([...names].sort());
  });
});

test.each(SOURCES.slice(0, IS_ALL ? undefined : 1))(
  'each mount from a %s is one moment while target and control change all the time',
  async (kind, sourceArgs) => {
    const { target, control, names } = await edit(`change of a ${kind}`, 'png');
    const [name = ''] = names;
    const variants = await Promise.all([30, 31, 32].map((seed) => media.png({ seed })));
    let isChanging = true;
    const change = async () => {
      for (let n = 0; isChanging; n++) {
        await api.upload(target, `${n % PAIRS}.txt`, `change ${n}`);
        await api.upload(control, `${n % PAIRS}.png`, variants[n % variants.length]!);
      }
    };
    const changes = change();
    try {
      const root = await newRoot();
      const digests = new Set<string>();
      while (digests.size < (IS_ALL ? 4 : 2)) {
        const more = kind === 'service' ? ['--wait'] : sourceArgs();
        const ended = await run(['mount', name, '--into', root, ...more, '--json']);
        // An upload may be in flight just then.
        expect([0, 75], ended.stdout).toContain(ended.code);
        if (ended.code !== 0) continue;
        const { digest, mounted_with: together } = JSON.parse(await readFile(join(root, name, '.mount.json'), 'utf8'));
        const found = await Promise.all(names.map((each) => digestOfFolder(join(root, each))));
        expect(
          digestWithLinks(found[0]!, [
            { slot: 'control_1', digest: found[1]! },
            { slot: 'mask', digest: found[2]! },
          ]),
        ).toBe(digest);
        expect(together.map((each: { digest: string }) => each.digest)).toEqual([digest, ...found.slice(1)]);
        expect(await mountedIn(root)).toEqual([...names].sort());
        digests.add(digest);
      }
    } finally {
      isChanging = false;
      await changes;
    }
  },
);

const filesBelow = async (folder: string) =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((each) => each.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)));

test.each(SOURCES.slice(0, IS_ALL ? undefined : 1))(
  'kohya has folders of the groups, of the same names for controls and masks, from a %s',
  async (kind, sourceArgs) => {
    const { target, names } = await edit(`groups ${kind}`);
    const group = (name: string, body: object) =>
      api.request('PUT', `/${target}/groups/${encodeURIComponent(name)}`, jsonOf(body));
    await group('cat woman', { repeats: 10, add: ['0.jpg', '1.jpg'] });
    await group('class', { is_reg: true, add: ['2.jpg'] });
    const root = await newRoot();
    const mount = (...more: string[]) =>
      run(['mount', names[0]!, '--into', root, '--layout', 'kohya', ...sourceArgs(), ...more]);
    const filesIn = async (name: string) =>
      (await filesBelow(join(root, name))).filter((path) => !path.startsWith('.')).sort();
    expect((await mount()).code).toBe(0);
    const rest = `1_${names[0]}`;
    expect(await filesIn(names[2]!)).toEqual(
      [...[0, 1].map((i) => `10_cat woman/${i}.png`), `${rest}/3.png`, 'reg/1_class/2.png'].sort(),
    );
    expect((await filesIn(names[0]!)).filter((path) => path.startsWith('10_cat woman/'))).toEqual(
      [0, 1].flatMap((i) => [`10_cat woman/${i}.jpg`, `10_cat woman/${i}.txt`]),
    );
    const outcomes = async (...more: string[]) =>
      (await mount('--json', ...more))
        .json()
        .mounts.map(({ outcome, error }: { outcome?: string; error?: object }) => outcome ?? error);
    // What a trainer writes there changes nothing, and what a person adds does.
    await writeFile(join(root, names[0]!, '10_cat woman', '0_sdxl.npz'), '');
    expect(await outcomes()).toEqual(['unchanged']);
    await group('cat woman', { repeats: 12 });
    expect(await outcomes()).toEqual(['mounted']);
    expect(await filesIn(names[0]!)).toContain('12_cat woman/0.jpg');
    expect(await filesIn(names[0]!)).not.toContain('10_cat woman/0.jpg');
    await writeFile(join(root, names[0]!, '12_cat woman', 'mine.txt'), '');
    await group('cat woman', { repeats: 13 });
    expect((await mount()).stderr).toContain('added: "12_cat woman/mine.txt"');
    expect(await outcomes('--replace')).toEqual(['mounted']);
    expect((await run(['mount', names[0]!, '--into', root, ...sourceArgs()])).code).toBe(0);
    expect(await filesIn(names[0]!)).toHaveLength(2 * PAIRS);
  },
);
