import { describe, expect, test } from 'vitest';
import { pairDatasetsOf, pairFoldersOf } from '../../../src/dataset/pairs/pair-folders.js';

const partsOf = (...names: string[]) => pairFoldersOf(names)?.folders.map(({ part, folder }) => `${part}=${folder}`);
const faultOf = (...names: string[]) => pairFoldersOf(names)?.fault;
const namesOf = (name: string, ...folders: string[]) =>
  pairDatasetsOf(name, pairFoldersOf(folders)!.folders).map((dataset) => `${dataset.name} ${dataset.role}`);

describe('pairFoldersOf', () => {
  test('finds targets, controls and masks in any order and case', () => {
    expect(partsOf('mask', 'control', 'target')).toEqual(['target=target', 'control_1=control', 'mask=mask']);
    expect(partsOf('target', 'control', 'control_2')).toHaveLength(3);
    expect(partsOf('target', 'control-1', 'Control-2')).toEqual([
      'target=target',
      'control_1=control-1',
      'control_2=Control-2',
    ]);
  });

  test('takes no other folder for a folder of pairs', () => {
    expect(pairFoldersOf([])).toBeUndefined();
    expect(pairFoldersOf(['target'])).toBeUndefined();
    expect(pairFoldersOf(['target', 'controls', 'masks', 'control1', 'control_0x'])).toBeUndefined();
  });

  test('says why folders make no pairs', () => {
    expect(faultOf('target', 'control', 'control_1')).toBe(
      'control/ and control_1/ are both control 1. Rename or remove one of them.',
    );
    expect(faultOf('target', 'Mask', 'mask')).toBe('Mask/ and mask/ are both the mask. Rename or remove one of them.');
    expect(faultOf('target', 'control_1', 'control_3')).toBe(
      'Controls are numbered from 1 on, and there is no control_2/. Rename control_3/ to control_2/, or add control_2/.',
    );
    expect(faultOf('target', 'control-2', 'Control_3')).toContain(
      'Rename control-2/ to control_1/ and Control_3/ to control_2/, or add control_1/.',
    );
    expect(faultOf('target', 'control_1', 'control-1')).toContain('are both control 1');
    expect(faultOf('target', 'mask', 'control-4')).toContain("control-4/ can't be linked");
    expect(faultOf('target', 'control_1', 'control_2', 'control_3', 'control_4')).toBe(
      "control_4/ can't be linked: a dataset has at most three controls, control_1/ to control_3/.",
    );
  });

  test('needs no folder of a control that the dataset is linked to already', () => {
    const faultBeside = (linked: string[], ...names: string[]) => pairFoldersOf(names, new Set(linked))?.fault;
    expect(faultBeside(['control_1'], 'target', 'control_2')).toBeUndefined();
    expect(faultBeside(['control_1', 'control_2'], 'control_2')).toBeUndefined();
    expect(faultBeside(['control_1'], 'control', 'control_2')).toBeUndefined();
    expect(faultBeside(['mask'], 'control_2')).toContain('there is no control_1/');
    expect(faultBeside(['control_1'], 'control_3')).toContain('Rename control_3/ to control_2/');
  });
});

test('pairDatasetsOf names the datasets after the folder and its sub-folders', () => {
  expect(namesOf(' railway ', 'target', 'control', 'mask')).toEqual([
    'railway training',
    'railway-control control',
    'railway-mask mask',
  ]);
  expect(namesOf('railway', 'target', 'control-1')).toEqual(['railway training', 'railway-control-1 control']);
});
