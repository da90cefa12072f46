import { describe, expect, test } from 'vitest';
import { kohyaGroupsOf, topFolderOf } from '../../../src/dataset/import/entry-paths.js';
import { readCandidates, withoutCollisions } from '../../../web/upload/add-files/check-files.js';
import { type DroppedFile, withEntriesOfArchives } from '../../../web/upload/add-files/dropped-files.js';
import {
  choiceOf,
  droppedFoldersOf,
  droppedPairsOf,
  type FolderChoice,
  withChoice,
} from '../../../web/upload/add-files/dropped-folders.js';
import { planUpload, type UploadChoices } from '../../../web/upload/add-files/plan-upload.js';
import type { KnownFiles } from '../../../web/upload/add-files/prepare-upload.js';
import { zipOf } from '../../hostile/zip.js';

const dropped = (path: string, text = 'x'): DroppedFile => ({ path, file: new File([text], path.split('/').at(-1)!) });

/** As files that may not be renamed. */
const checkFiles = async (files: readonly DroppedFile[]) => {
  const { candidates, ...found } = await readCandidates(files, { keepsUnpaired: true });
  return { ...found, ...withoutCollisions(candidates) };
};

describe('dropped files', () => {
  test('are named as the service does, and rejected with the reason unless an operating system hides them', async () => {
    const paths = ['wagons/caf\u0065\u0301.jpg', 'a/Thumbs.db', '__MACOSX/a.jpg', 'a.psd'];
    const empty = [dropped('b.png', ''), dropped('b.txt', ''), { path: 'c.jpg', file: undefined }];
    const { files, rejected, hidden } = await checkFiles([...paths.map((path) => dropped(path)), ...empty]);
    expect(files.map(({ name, size }) => [name, size])).toEqual([
      ['caf\u00e9.jpg', 1],
      ['b.txt', 0],
    ]);
    expect([rejected.map(({ path }) => path), hidden]).toEqual([['a.psd', 'b.png', 'c.jpg'], 2]);
    expect(rejected[0]?.reason).toContain('"a.psd" is not an image');
  });

  test('rejects files that would have the same name in the dataset', async () => {
    const { files, colliding } = await checkFiles([
      dropped('a/dog.jpg'),
      dropped('b/dog.jpg'),
      dropped('caf\u00e9.txt'),
      dropped('caf\u0065\u0301.txt'),
      dropped('cat.jpg'),
    ]);
    expect(files.map(({ name }) => name)).toEqual(['cat.jpg']);
    expect(colliding).toHaveLength(4);
    expect(colliding[0]).toEqual({
      path: 'a/dog.jpg',
      reason: expect.stringContaining('2 files would be named dog.jpg'),
    });
  });

  test.each(['reg/1_dog/1.jpg', '10_dog/1.jpg'])("keep kohya's folders of a zip: %s", async (path) => {
    const file = new File([new Uint8Array(zipOf([{ name: path }]))], 'dogs.zip');
    expect(await withEntriesOfArchives([{ path: 'dogs.zip', file }])).toMatchObject([{ path: `dogs/${path}` }]);
  });

  test('finds the folder that all files share', () => {
    expect(topFolderOf([dropped('wagons/a.jpg'), dropped('wagons/b/c.jpg')])).toBe('wagons');
    expect(topFolderOf([dropped('wagons/a.jpg'), dropped('b.jpg')])).toBe('');
  });
});

const partsOf = (...paths: string[]) => {
  const pairs = droppedPairsOf(paths.map((path) => ({ path, file: undefined })));
  const pathsOf = (files: readonly { path: string }[]) => files.map(({ path }) => path);
  return (
    pairs && {
      folder: pairs.folder,
      parts: Object.fromEntries(pairs.parts.map(({ part, files }) => [part, pathsOf(files)])),
      outside: pathsOf(pairs.outside),
    }
  );
};

test('a dropped folder of pairs is split into its sub-folders, with what is below them', () => {
  expect(
    partsOf('railway/target/deep/b.jpg', 'railway/Control/a.png', 'railway/mask/a.png', 'railway/README.txt'),
  ).toEqual({
    folder: 'railway',
    parts: {
      target: ['railway/target/deep/b.jpg'],
      control_1: ['railway/Control/a.png'],
      mask: ['railway/mask/a.png'],
    },
    outside: ['railway/README.txt'],
  });
  // It may be dropped without the folder around it.
  const parts = { target: ['target/a.jpg'], control_1: ['control/a.png'] };
  expect(partsOf('target/a.jpg', 'control/a.png')).toEqual({ folder: '', parts, outside: [] });
  for (const paths of [
    ['x/a.jpg', 'x/a.txt'],
    ['x/target/a.jpg'],
    ['x/y/target/a.jpg', 'x/y/control/a.jpg'],
    ['control.jpg', 'mask'],
  ]) {
    expect(partsOf(...paths), paths.join()).toBeUndefined();
  }
});

/** Files at these paths, the first the oldest. */
const droppedAt = async (...paths: string[]) => {
  const files = paths.map((path, index) => ({
    path,
    file: new File(['x'], path.split('/').at(-1)!, { lastModified: index }),
  }));
  return (await readCandidates(files, { keepsUnpaired: true })).candidates;
};

const knowing = (...names: string[]): KnownFiles => ({
  names: new Set(names),
  unchanged: new Set(),
  etagOf: (name) => (names.includes(name) ? 'old' : null),
});

const planOf = async (paths: string[], choices: Partial<UploadChoices> = {}, known = knowing()) => {
  const candidates = await droppedAt(...paths);
  const plans = planUpload(candidates, known, { folders: new Map(), clash: 'both', existing: 'replace', ...choices });
  const namesOf = (files: readonly { name: string }[]) => files.map(({ name }) => name).sort();
  const groups = new Map([...plans].map(([path, { placed }]) => [path, kohyaGroupsOf(placed)]));
  const { '': main = [], ...own } = Object.fromEntries([...plans].map(([path, { files }]) => [path, namesOf(files)]));
  const { files, clashing, renamed, overwriting } = plans.get('')!;
  const etags = Object.fromEntries(files.map(({ name, etag }) => [name, etag]));
  return { main, own, groups, etags, clashing, renamed, overwriting };
};

const TWICE = ['a/IMG.jpg', 'a/IMG.txt', 'a/extra/IMG.jpg', 'a/extra/IMG.txt', 'a/other.jpg'];

describe('files of one name in a folder and its subfolder', () => {
  test('are both kept, and a caption keeps the name of its picture', async () => {
    const { main, clashing, renamed } = await planOf(TWICE);
    expect(main).toEqual(['IMG.jpg', 'IMG.txt', 'extra_IMG.jpg', 'extra_IMG.txt', 'other.jpg']);
    expect(clashing).toEqual(['IMG.jpg']);
    expect(renamed).toContainEqual({ from: 'IMG.txt', to: 'extra_IMG.txt' });
  });

  test('are not sent again when the folder is chosen again, except what is new', async () => {
    const again = await droppedAt(...TWICE);
    const names = ['IMG.jpg', 'IMG.txt', 'extra_IMG.jpg'];
    const unchanged = new Set(again.flatMap(({ file, flat }) => (names.includes(flat.name) ? [file, flat] : [])));
    const choices = { folders: new Map(), clash: 'both', existing: 'replace' } as const;
    const { files, renamed } = planUpload(again, { ...knowing(...names), unchanged }, choices).get('')!;
    expect([files.map(({ name }) => name), renamed]).toEqual([['extra_IMG.txt', 'other.jpg'], []]);
  });

  test('can be the newest alone, or neither', async () => {
    expect((await planOf(TWICE, { clash: 'newest' })).main).toEqual(['IMG.jpg', 'IMG.txt', 'other.jpg']);
    const { main } = await planOf(['a/IMG.jpg', 'a/x/IMG.png', 'a/x/IMG.txt'], { clash: 'newest' });
    expect(main).toEqual(['IMG.png', 'IMG.txt']);
    expect((await planOf(TWICE, { clash: 'neither' })).main).toEqual(['other.jpg']);
  });

  test('are renamed where two pictures would share a caption, and not where a caption finds its picture', async () => {
    expect((await planOf(['a/IMG.jpg', 'a/IMG.txt', 'a/x/IMG.png'])).main).toEqual(['IMG.jpg', 'IMG.txt', 'x_IMG.png']);
    const { main, clashing } = await planOf(['a/IMG.jpg', 'a/captions/IMG.txt']);
    expect([main, clashing]).toEqual([['IMG.jpg', 'IMG.txt'], []]);
    const { renamed } = await planOf(['a/day/1.jpg', 'a/night/1.jpg', 'a/night/text/1.txt']);
    expect(renamed).toContainEqual({ from: '1.txt', to: 'night_1.txt' });
  });

  test('get names that no other file has', async () => {
    const { main } = await planOf(['a/IMG.jpg', 'a/x/IMG.jpg', 'a/y/x/IMG.jpg', 'a/x_IMG.jpg']);
    expect(main).toEqual(['IMG.jpg', 'a_x_IMG.jpg', 'x_IMG.jpg', 'y_x_IMG.jpg']);
    expect((await planOf(['caf\u00e9.txt', 'caf\u0065\u0301.txt'])).main).toEqual(['caf\u00e9.txt', 'caf\u00e9_2.txt']);
  });
});

test('files whose names the dataset has replace the old ones, or leave them, or stand beside them with their captions', async () => {
  const paths = ['new/IMG.jpg', 'new/IMG.txt', 'new/b.jpg'];
  const replaced = await planOf(paths, {}, knowing('IMG.jpg'));
  expect(replaced.etags).toEqual({ 'IMG.jpg': 'old', 'IMG.txt': null, 'b.jpg': null });
  expect(replaced.overwriting).toEqual(['IMG.jpg']);
  expect((await planOf(paths, { existing: 'keep' }, knowing('IMG.jpg'))).main).toEqual(['b.jpg']);
  const both = await planOf(paths, { existing: 'both' }, knowing('IMG.jpg'));
  expect(both.etags).toEqual({ 'new_IMG.jpg': null, 'new_IMG.txt': null, 'b.jpg': null });
});

describe('the tree of dropped folders', () => {
  test('lists folders with files below the folder that they are in, with counts', async () => {
    const folders = droppedFoldersOf(await droppedAt('a/x/deep/1.txt', 'a/1.jpg', 'a/10_cat/1.mp4', 'a/2_dog/1.jpg'));
    expect(folders.map(({ name, depth }) => [name, depth])).toEqual([
      ['a', 0],
      ['2_dog', 1],
      ['10_cat', 1],
      ['x/deep', 1],
    ]);
    expect(folders[0]?.counts).toEqual({ image: 1, video: 0, caption: 0 });
    expect(folders.map(({ kohya }) => kohya?.repeats)).toEqual([undefined, 2, 10, undefined]);
  });

  test("keeps the repeats of kohya's folders, in one dataset or in one of their own", async () => {
    const paths = ['img/10_cat/1.jpg', 'img/5_dog/2.jpg', 'img/3.jpg'];
    expect((await planOf(paths)).groups.get('')).toEqual([
      { name: 'cat', repeats: 10, is_reg: false, files: ['1.jpg'] },
      { name: 'dog', repeats: 5, is_reg: false, files: ['2.jpg'] },
    ]);
    const { groups } = await planOf(paths, { folders: new Map([['img/5_dog', 'own']]) });
    expect([groups.get('')?.length, groups.get('img/5_dog')]).toMatchObject([1, [{ name: 'dog', files: ['2.jpg'] }]]);
  });

  test('a choice for a folder is one for all in it, which can be changed after that', async () => {
    const paths = ['a/1.jpg', 'a/b/2.jpg', 'a/b/c/3.jpg', 'a/d/4.jpg'];
    const choose = (...choices: [string, FolderChoice][]) =>
      choices.reduce<UploadChoices['folders']>((all, [path, choice]) => withChoice(all, path, choice), new Map());
    const skipped = choose(['a/b', 'skip']);
    expect([choiceOf('a/b/c', skipped), (await planOf(paths, { folders: skipped })).main]).toEqual([
      'skip',
      ['1.jpg', '4.jpg'],
    ]);
    const again = choose(['a/b', 'skip'], ['a/b/c', 'add']);
    expect((await planOf(paths, { folders: again })).main).toEqual(['1.jpg', '3.jpg', '4.jpg']);
    const own = await planOf(paths, { folders: choose(['a/b/c', 'skip'], ['a/b', 'own']) });
    expect([own.main, own.own]).toEqual([['1.jpg', '4.jpg'], { 'a/b': ['2.jpg', '3.jpg'] }]);
  });
});
