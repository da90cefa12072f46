import { describe, expect, test } from 'vitest';
import { droppedPairsOf } from '../../../web/upload/add-files/pairs/dropped-pairs.js';

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
      partsOf('railway/target/a.jpg', 'railway/target/deep/b.jpg', 'railway/Control/a.png', 'railway/mask/a.png'),
    ).toEqual({
      folder: 'railway',
      parts: {
        target: ['railway/target/a.jpg', 'railway/target/deep/b.jpg'],
        control_1: ['railway/Control/a.png'],
        mask: ['railway/mask/a.png'],
      },
      outside: [],
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

  test('may have other files, which are in no part', () => {
    expect(partsOf('x/target/a.jpg', 'x/control/a.png', 'x/README.txt', 'x/old/a.png')?.outside).toEqual([
      'x/README.txt',
      'x/old/a.png',
    ]);
  });

  test('has controls or masks directly below it', () => {
    expect(partsOf('x/a.jpg', 'x/a.txt')).toBeUndefined();
    expect(partsOf('x/target/a.jpg')).toBeUndefined();
    expect(partsOf('x/y/target/a.jpg', 'x/y/control/a.jpg')).toBeUndefined();
    expect(partsOf('control.jpg', 'mask')).toBeUndefined();
  });
});
