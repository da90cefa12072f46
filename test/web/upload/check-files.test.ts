import { describe, expect, test } from 'vitest';
import { checkFiles } from '../../../web/upload/add-files/check-files.js';
import { commonFolderOf, type DroppedFile } from '../../../web/upload/add-files/dropped-files.js';
import { Speed } from '../../../web/upload/queue/speed.js';

const brought = (path: string, text = 'x'): DroppedFile => ({ path, file: new File([text], path.split('/').at(-1)!) });

describe('files before they are uploaded', () => {
  test('are named without their folders, and as the service keeps names', async () => {
    const { files, rejected } = await checkFiles([brought('wagons/caf\u0065\u0301.jpg'), brought('wagons/more/b.TXT')]);
    expect(files.map(({ name, size }) => [name, size])).toEqual([
      ['caf\u00e9.jpg', 1],
      ['b.TXT', 1],
    ]);
    expect(rejected).toEqual([]);
  });

  test('are left out and counted where a system has made them', async () => {
    const paths = ['.DS_Store', 'a/Thumbs.db', 'a/desktop.ini', '__MACOSX/a.jpg', '.git/b.txt', 'a/._b.jpg', 'a/c.txt'];
    const { files, rejected, hidden } = await checkFiles(paths.map((path) => brought(path)));
    expect(files.map(({ name }) => name)).toEqual(['c.txt']);
    expect({ rejected, hidden }).toEqual({ rejected: [], hidden: 6 });
  });

  test('are refused with the reason', async () => {
    const { files, rejected } = await checkFiles([
      brought('a.psd'),
      brought('b.png', ''),
      brought('b.txt', ''),
      { path: 'c.jpg', file: undefined },
    ]);
    expect(files.map(({ name }) => name)).toEqual(['b.txt']);
    expect(rejected.map(({ path }) => path)).toEqual(['a.psd', 'b.png', 'c.jpg']);
    expect(rejected[0]?.reason).toContain('"a.psd" is not an image');
  });

  test('are refused where two would be one in the dataset', async () => {
    const { files, rejected } = await checkFiles([
      brought('a/dog.jpg'),
      brought('b/dog.jpg'),
      brought('caf\u00e9.txt'),
      brought('caf\u0065\u0301.txt'),
      brought('cat.jpg'),
    ]);
    expect(files.map(({ name }) => name)).toEqual(['cat.jpg']);
    expect(rejected).toHaveLength(4);
    expect(rejected[0]).toEqual({
      path: 'a/dog.jpg',
      reason: expect.stringContaining('2 files would be named dog.jpg'),
    });
  });

  test('give a name where all of them are in one folder', () => {
    expect(commonFolderOf([brought('wagons/a.jpg'), brought('wagons/b/c.jpg')])).toBe('wagons');
    expect(commonFolderOf([brought('wagons/a.jpg'), brought('b.jpg')])).toBe('');
    expect(commonFolderOf([brought('a.jpg')])).toBe('');
    expect(commonFolderOf([])).toBe('');
  });
});

describe('the speed of uploads', () => {
  test('is told after a second, of the last few seconds alone', () => {
    const speed = new Speed();
    speed.add(0, 0);
    speed.add(500, 500);
    expect(speed.bytesPerSecond()).toBeUndefined();
    for (let at = 1000; at <= 10_000; at += 500) speed.add(at, at);
    expect(speed.bytesPerSecond()).toBe(1000);
    for (let at = 10_500; at <= 20_000; at += 500) speed.add(10_000 + (at - 10_000) * 3, at);
    expect(speed.bytesPerSecond()).toBe(3000);
  });

  test('begins anew where a file has to', () => {
    const speed = new Speed();
    speed.add(0, 0);
    speed.add(5000, 2000);
    speed.add(1000, 2100);
    expect(speed.bytesPerSecond()).toBeUndefined();
    speed.add(3000, 4100);
    expect(speed.bytesPerSecond()).toBe(1000);
  });
});
