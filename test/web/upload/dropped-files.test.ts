import { describe, expect, test } from 'vitest';
import { checkFiles } from '../../../web/upload/add-files/check-files.js';
import { commonFolderOf, type DroppedFile } from '../../../web/upload/add-files/dropped-files.js';
import { droppedPairsOf } from '../../../web/upload/add-files/pairs/dropped-pairs.js';
import { Speed } from '../../../web/upload/queue/speed.js';

const dropped = (path: string, text = 'x'): DroppedFile => ({ path, file: new File([text], path.split('/').at(-1)!) });

describe('checkFiles', () => {
  test('names files without their folders, normalized as the service does', async () => {
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
    const { files, rejected } = await checkFiles([
      dropped('a/dog.jpg'),
      dropped('b/dog.jpg'),
      dropped('caf\u00e9.txt'),
      dropped('caf\u0065\u0301.txt'),
      dropped('cat.jpg'),
    ]);
    expect(files.map(({ name }) => name)).toEqual(['cat.jpg']);
    expect(rejected).toHaveLength(4);
    expect(rejected[0]).toEqual({
      path: 'a/dog.jpg',
      reason: expect.stringContaining('2 files would be named dog.jpg'),
    });
  });

  test('finds the folder that all files share', () => {
    expect(commonFolderOf([dropped('wagons/a.jpg'), dropped('wagons/b/c.jpg')])).toBe('wagons');
    expect(commonFolderOf([dropped('wagons/a.jpg'), dropped('b.jpg')])).toBe('');
    expect(commonFolderOf([dropped('a.jpg')])).toBe('');
    expect(commonFolderOf([])).toBe('');
  });
});

describe('the upload speed', () => {
  test('is known after one second, and covers the last seconds only', () => {
    const speed = new Speed();
    speed.add(0, 0);
    speed.add(500, 500);
    expect(speed.bytesPerSecond()).toBeUndefined();
    for (let at = 1000; at <= 10_000; at += 500) speed.add(at, at);
    expect(speed.bytesPerSecond()).toBe(1000);
    for (let at = 10_500; at <= 20_000; at += 500) speed.add(10_000 + (at - 10_000) * 3, at);
    expect(speed.bytesPerSecond()).toBe(3000);
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

describe('a dropped folder of pairs', () => {
  test('is split into its sub-folders, with what is below them', () => {
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
  });

  test('may be dropped without the folder around it', () => {
    expect(partsOf('target/a.jpg', 'control/a.png')).toEqual({
      folder: '',
      parts: { target: ['target/a.jpg'], control_1: ['control/a.png'] },
      outside: [],
    });
    expect(partsOf('control/a.png', 'control/b.png')).toMatchObject({ parts: { control_1: { length: 2 } } });
  });

  test('has controls or masks directly below it', () => {
    expect(partsOf('x/a.jpg', 'x/a.txt')).toBeUndefined();
    expect(partsOf('x/target/a.jpg')).toBeUndefined();
    expect(partsOf('x/y/target/a.jpg', 'x/y/control/a.jpg')).toBeUndefined();
    expect(partsOf('control.jpg', 'mask')).toBeUndefined();
  });
});
