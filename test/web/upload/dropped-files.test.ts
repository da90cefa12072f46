import { describe, expect, test } from 'vitest';
import { topFolderOf } from '../../../src/dataset/import/entry-paths.js';
import { readCandidates, withoutCollisions } from '../../../web/upload/add-files/check-files.js';
import type { DroppedFile } from '../../../web/upload/add-files/dropped-files.js';
import { droppedPairsOf } from '../../../web/upload/add-files/dropped-folders.js';

const dropped = (path: string, text = 'x'): DroppedFile => ({ path, file: new File([text], path.split('/').at(-1)!) });

/** As files that may not be renamed. */
const checkFiles = async (files: readonly DroppedFile[]) => {
  const { candidates, ...found } = await readCandidates(files, { keepsUnpaired: true });
  return { ...found, ...withoutCollisions(candidates) };
};

describe('dropped files', () => {
  test('are named without their folders, normalized as the service does', async () => {
    const { files, rejected } = await checkFiles([dropped('wagons/caf\u0065\u0301.jpg'), dropped('wagons/more/b.TXT')]);
    expect(files.map(({ name, size }) => [name, size])).toEqual([
      ['caf\u00e9.jpg', 1],
      ['b.TXT', 1],
    ]);
    expect(rejected).toEqual([]);
  });

  test('counts and skips hidden system files', async () => {
    const paths = ['.DS_Store', 'a/Thumbs.db', 'a/desktop.ini', '__MACOSX/a.jpg', '.git/b.txt', 'a/._b.jpg', 'a/c.txt'];
    const { files, rejected, hidden } = await checkFiles(paths.map((path) => dropped(path)));
    expect(files.map(({ name }) => name)).toEqual(['c.txt']);
    expect({ rejected, hidden }).toEqual({ rejected: [], hidden: 6 });
  });

  test('rejects files with the reason', async () => {
    const { files, rejected } = await checkFiles([
      dropped('a.psd'),
      dropped('b.png', ''),
      dropped('b.txt', ''),
      { path: 'c.jpg', file: undefined },
    ]);
    expect(files.map(({ name }) => name)).toEqual(['b.txt']);
    expect(rejected.map(({ path }) => path)).toEqual(['a.psd', 'b.png', 'c.jpg']);
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
