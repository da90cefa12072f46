import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { digestWithLinks } from '../../../src/dataset/digest.js';
import * as media from '../../fixtures/media.js';
import { IS_ALL } from '../../harness/available.js';
import { ONLY_PROGRESS, trainyard } from '../../harness/command.js';
import { digestOfFolder, leaveLitter, mountedIn, newRoot, recordIn, stateOf } from '../../harness/mounting.js';
import { startProxy } from '../../harness/proxy.js';
import { sharedServer } from '../../harness/shared-server.js';
import { trainerCounterparts, trainerWalk } from '../../harness/trainer.js';

const PAIRS = 3;

const server = await sharedServer();
const api = await server.api();

const run = (args: readonly string[], url = server.url) => {
  const env = { TRAINYARD_URL: url, TRAINYARD_TOKEN: api.token, TRAINYARD_CAPTION_GRACE_SECONDS: '0' };
  return trainyard(args, { env });
};

async function uploadImages(id: string, { seed, extension = 'png' }: { seed: number; extension?: string }) {
  const uploads = Array.from({ length: PAIRS }, async (_, i) =>
    api.upload(id, `${i}.${extension}`, await media.png({ seed: seed + i })),
  );
  for (const { status } of await Promise.all(uploads)) expect(status).toBe(200);
}

async function link(target: string, links: object): Promise<void> {
  expect((await api.json('PUT', `/${target}/links`, links)).status).toBe(200);
}

/** A target of three images, with controls, whose extensions are in upper case unless another is given, and masks. */
async function edit(name: string, extension = 'PNG') {
  const names = [name, `${name}-depth`, `${name}-mask`] as const;
  const target = await api.newDataset(name);
  const control = await api.newDataset(names[1], 'control');
  const mask = await api.newDataset(names[2], 'mask');
  const captions = Array.from({ length: PAIRS }, (_, i) => ({ filename: `${i}.txt`, text: `edit ${i}` }));
  await api.json('PUT', `/${target}/captions`, { captions });
  await uploadImages(target, { seed: 0 });
  await uploadImages(control, { seed: 20, extension });
  await uploadImages(mask, { seed: 50 });
  await link(target, { control_1: names[1], mask: names[2] });
  expect((await api.status(target)).body.status).toBe('READY');
  return { target, control, mask, names };
}

/** Over HTTP, and straight from the data folder. */
const SOURCES = [
  ['service', () => []],
  ['data folder', () => ['--data', server.dataFolder]],
] as const;

test.each(SOURCES)(
  'from a %s, the trainer finds a control and a mask for each target; a changed control replaces both, and a digest brings both back',
  async (kind, sourceArgs) => {
    const { target, control, names } = await edit(`walk ${kind}`);
    await api.upload(control, '2.txt', 'an unused caption');
    const root = await newRoot();
    const mount = (...args: string[]) => run(['mount', ...args, '--into', root, ...sourceArgs(), '--json']);
    const ended = await mount(names[0]);
    expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    expect(await mountedIn(root)).toEqual(names);
    const [own, depth, mask] = names.map((name) => join(root, name)) as [string, string, string];
    const stems = trainerWalk(own).map(({ path }) => path.replace('.png', ''));
    expect(stems).toHaveLength(PAIRS);
    for (const folder of [depth, mask]) {
      expect(trainerCounterparts(own, folder)).toEqual(stems.map((stem) => `${stem}.png`));
    }
    // diffusion-pipe would take a caption for the control.
    expect((await readdir(depth)).filter((name) => name.endsWith('.txt'))).toEqual([]);
    const { digest } = (await api.manifest(target)).body;
    const record = await recordIn(root, names[0]);
    expect(record.digest).toBe(digest);
    const slots = record.mounted_with.slice(1).map(({ as: slot, digest: of }: Record<string, string>) => {
      return { slot, digest: of };
    });
    expect(digestWithLinks(await digestOfFolder(own), slots)).toBe(digest);
    expect(ended.json().mounts[0].linked).toMatchObject([
      { as: 'control_1', name: names[1] },
      { as: 'mask', name: names[2] },
    ]);
    const before = await stateOf(root);
    const again = (await mount(...names)).json().mounts;
    expect(again.map(({ outcome }: { outcome: string }) => outcome)).toEqual(names.map(() => 'unchanged'));
    expect(await stateOf(root)).toEqual(before);

    const first = await digestOfFolder(depth);
    await leaveLitter(own);
    await api.upload(control, '2.PNG', await media.png({ seed: 99 }));
    // A control that is named beside its target stays in the state that it has with it.
    const both = (await mount(names[0], names[1])).json().mounts;
    expect(both[0]).toMatchObject({ outcome: 'mounted', linked: [{ ...both[1], as: 'control_1' }, { as: 'mask' }] });
    // The texts that the trainer has cached are of the old control.
    expect(existsSync(join(own, '_t_e_cache'))).toBe(false);
    expect(await digestOfFolder(depth)).not.toBe(first);
    const filesOf = (state: readonly string[]) => state.filter((line) => !line.includes('.mount.json'));
    expect(filesOf(await stateOf(mask))).toEqual(filesOf(before.filter((line) => line.startsWith(`${mask}/`))));
    expect((await mount(names[0], '--digest', digest!)).code).toBe(0);
    expect(await digestOfFolder(depth)).toBe(first);
    expect((await recordIn(root, names[0])).digest).toBe(digest);
  },
);

test('a revision is mounted with the last controls of its time; without any, it is rejected', async () => {
  const { target, control, names } = await edit('revisions');
  const root = await newRoot();
  const mount = (...more: string[]) => run(['mount', names[0], '--into', root, ...more]);
  const controls = () => digestOfFolder(join(root, names[1]));
  const { revision } = (await api.manifest(target)).body;
  // A file that is replaced begins a revision.
  await api.upload(control, '2.PNG', await media.png({ seed: 99 }));
  expect((await mount()).code).toBe(0);
  const [of, images] = [await controls(), await digestOfFolder(join(root, names[0]))];
  await api.upload(target, '2.png', await media.png({ seed: 98 }));
  await api.upload(control, '2.PNG', await media.png({ seed: 97 }));
  expect((await mount()).code).toBe(0);
  expect(await controls()).not.toBe(of);
  const latest = String((await api.manifest(target)).body.revision);
  const again = await mount('--revision', latest, '--data', server.dataFolder, '--json');
  expect(again.json().mounts[0]).toMatchObject({ outcome: 'unchanged', linked: [{ as: 'control_1' }, { as: 'mask' }] });
  expect((await mount('--revision', String(revision), '--pin')).code).toBe(0);
  const pinOf = async (path: string) => (await api.request<{ pinned: object | null }>('GET', path)).body.pinned;
  expect(await pinOf(`/${target}/revisions/${revision}`)).not.toBeNull();
  expect(await pinOf(`/${control}/revisions/2`)).not.toBeNull();
  expect([await controls(), await digestOfFolder(join(root, names[0]))]).toEqual([of, images]);

  const later = await api.newDataset('later', 'control');
  await uploadImages(later, { seed: 0 });
  await link(target, { control_1: later });
  const rejected = await mount('--revision', String(revision));
  expect(rejected.code).not.toBe(0);
  expect(rejected.stderr).toContain('No READY states of the controls');
});

test('where a control lacks an image, or a folder is in its way, nothing is mounted or replaced', async () => {
  const { control, names } = await edit('foreign');
  const root = await newRoot();
  const mount = (...more: string[]) => run(['mount', names[0], '--into', root, ...more]);
  await api.request('DELETE', `/${control}/files/2.PNG`);
  expect((await mount()).code).toBe(65);
  expect(await mountedIn(root)).toEqual([]);
  await api.upload(control, '2.PNG', await media.png({ seed: 22 }));
  await mkdir(join(root, names[1]));
  await writeFile(join(root, names[1], 'mine.txt'), 'mine');
  expect((await mount('--replace')).code).toBe(73);
  expect(await mountedIn(root)).toEqual([names[1]]);
  expect(await readFile(join(root, names[1], 'mine.txt'), 'utf8')).toBe('mine');
});

test('the folder of an earlier dataset with the name of a mask is replaced, and only if the mask is named when it was changed', async () => {
  const { target, mask, names } = await edit('recreated');
  const root = await newRoot();
  const mount = (...args: string[]) => run(['mount', ...args, '--into', root]);
  expect((await mount(names[2])).code).toBe(0);
  await link(target, { control_1: names[1] });
  expect((await api.request('DELETE', `/${mask}`)).status).toBe(200);
  const later = await api.newDataset(names[2], 'mask');
  await uploadImages(later, { seed: 60 });
  await link(target, { control_1: names[1], mask: names[2] });
  const notes = join(root, names[2], 'notes.md');
  await writeFile(notes, 'mine');
  const { code, stderr } = await mount(names[0], '--replace');
  expect([code, stderr]).toEqual([73, expect.stringContaining('"notes.md"')]);
  expect(await readFile(notes, 'utf8')).toBe('mine');
  await rename(notes, join(root, 'notes.md'));
  expect((await mount(names[0])).code).toBe(0);
  const record = await recordIn(root, names[2]);
  expect(record.dataset_id).toBe(later);
  // A name of another service says nothing about its dataset.
  const foreign = { ...record, dataset_id: 'd1', digest: '', source: 'http://elsewhere' };
  await writeFile(join(root, names[2], '.mount.json'), JSON.stringify(foreign));
  expect((await mount(names[0])).code).toBe(73);
  expect((await mount(names[0], names[2], '--replace')).code).toBe(0);
});

test('OneTrainer finds the mask beside the image; a renamed control gets a new folder, and a warning names the old one', async () => {
  const { control, names } = await edit('one');
  const root = await newRoot();
  const args = ['mount', names[0], '--into', root];
  expect((await run([...args, '--layout', 'onetrainer'])).code).toBe(0);
  expect(await mountedIn(root)).toEqual([names[0]]);
  const files = (await readdir(join(root, names[0]))).filter((name) => !name.startsWith('.'));
  const masks = Array.from({ length: PAIRS }, (_, i) => `${i}-masklabel.png`);
  expect(files.filter((name) => name.endsWith('-masklabel.png')).sort()).toEqual(masks);
  expect(files).toHaveLength(3 * PAIRS);
  expect((await run(args)).code).toBe(0);
  expect(await mountedIn(root)).toEqual(names);

  expect((await api.json('PATCH', `/${control}`, { name: 'renamed' })).status).toBe(200);
  const ended = await run([...args, '--json']);
  const warnings = [expect.stringContaining(join(root, names[1]))];
  expect(ended.json().mounts[0].linked[0]).toMatchObject({ name: 'renamed', outcome: 'mounted', warnings });
  expect(await mountedIn(root)).toEqual([...names, 'renamed'].sort());
  expect((await recordIn(root, names[0])).mounted_with[1].name).toBe('renamed');
});

test('a control that is changed before it is read is mounted as it is then, with its target', async () => {
  const { control, names } = await edit('overtaken', 'png');
  await api.upload(control, '2.png', await media.png({ seed: 99 }));
  const proxy = await startProxy(server.url);
  onTestFinished(() => proxy.close());
  proxy.rule(async ({ pathname, time }) => {
    // It joins the revision that the target names.
    const isFirst = pathname.endsWith(`${control}/manifest`) && time === 1;
    if (isFirst) await api.upload(control, '1.png', await media.png({ seed: 98 }));
    return undefined;
  });
  const root = await newRoot();
  expect((await run(['mount', names[0], '--into', root], proxy.url)).code).toBe(0);
  const { mounted_with: together } = await recordIn(root, names[0]);
  expect(together[1].digest).toBe(await digestOfFolder(join(root, names[1])));
});

test('each mount is one moment while target and control change all the time', async () => {
  const { target, control, names } = await edit('change', 'png');
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
      const ended = await run(['mount', names[0], '--into', root, '--wait', '--json']);
      // An upload may be in flight just then.
      expect([0, 75], ended.stdout).toContain(ended.code);
      if (ended.code !== 0) continue;
      const { digest, mounted_with: together } = await recordIn(root, names[0]);
      const [own, depth, mask] = await Promise.all(names.map((each) => digestOfFolder(join(root, each))));
      const slots = [
        { slot: 'control_1', digest: depth! },
        { slot: 'mask', digest: mask! },
      ] as const;
      expect(digestWithLinks(own!, slots)).toBe(digest);
      expect(together.map((each: { digest: string }) => each.digest)).toEqual([digest, depth, mask]);
      expect(await mountedIn(root)).toEqual(names);
      digests.add(digest);
    }
  } finally {
    isChanging = false;
    await changes;
  }
});

test('kohya has folders of the groups, of the same names for controls and masks', async () => {
  const { target, names } = await edit('groups');
  const group = (name: string, body: object) => api.json('PUT', `/${target}/groups/${encodeURIComponent(name)}`, body);
  await group('cat woman', { repeats: 10, add: ['0.png'] });
  await group('class', { is_reg: true, add: ['1.png'] });
  const root = await newRoot();
  const mount = (...more: string[]) => run(['mount', names[0], '--into', root, '--layout', 'kohya', '--json', ...more]);
  const filesIn = async (name: string) => {
    const paths = await readdir(join(root, name), { recursive: true });
    return paths.filter((path) => /^[^.].*\//.test(path) && /\.\w+$/.test(path)).sort();
  };
  expect((await mount()).code).toBe(0);
  expect(await filesIn(names[2])).toEqual(['10_cat woman/0.png', '1_groups/2.png', 'reg/1_class/1.png']);
  expect(await filesIn(names[0])).toEqual([
    ...['10_cat woman/0.png', '10_cat woman/0.txt', '1_groups/2.png', '1_groups/2.txt'],
    ...['reg/1_class/1.png', 'reg/1_class/1.txt'],
  ]);
  const outcome = async (...more: string[]) => (await mount(...more)).json().mounts[0].outcome;
  // What a trainer writes there changes nothing, and what a person adds does.
  await writeFile(join(root, names[0], '10_cat woman', '0_sdxl.npz'), '');
  expect(await outcome()).toBe('unchanged');
  await group('cat woman', { repeats: 12 });
  expect(await outcome()).toBe('mounted');
  expect(await filesIn(names[0])).toContain('12_cat woman/0.png');
  expect(await filesIn(names[0])).not.toContain('10_cat woman/0.png');
  await writeFile(join(root, names[0], '12_cat woman', 'mine.txt'), '');
  await group('cat woman', { repeats: 13 });
  expect((await mount()).json().mounts[0].error.message).toContain('added: "12_cat woman/mine.txt"');
  expect(await outcome('--replace')).toBe('mounted');
});
