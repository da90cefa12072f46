import { rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FileInspector } from '../../../src/cli/folder/inspect-files.js';
import { readPaths } from '../../../src/cli/folder/read-folder.js';
import { changeState, commonWith, readState } from '../../../src/cli/sync/common-state.js';
import { commonChanges, type SyncRules, type SyncStep, syncPlanOf, syncStep } from '../../../src/cli/sync/compare.js';
import { conflictLines } from '../../../src/cli/sync/report.js';
import { folderWith } from '../../harness/folder.js';

const NONE: SyncRules = { winner: undefined, replaces: false, overrules: true };

describe('the step for one file', () => {
  // Each row: the common version, that of the source, and that of the target, `-` for none; the step, with --replace, where the source
  // is to win, and with both.
  const rows: [string, string, string, SyncStep, SyncStep, SyncStep, SyncStep][] = [
    ['a', 'a', 'a', 'same', 'same', 'same', 'same'],
    ['-', 'a', 'a', 'same', 'same', 'same', 'same'],
    ['a', 'b', 'b', 'same', 'same', 'same', 'same'],
    ['a', '-', '-', 'same', 'same', 'same', 'same'],
    ['a', 'b', 'a', 'write', 'write', 'write', 'write'],
    ['-', 'b', '-', 'write', 'write', 'write', 'write'],
    ['a', '-', 'a', 'removed-from-source', 'remove', 'removed-from-source', 'remove'],
    ['a', 'a', 'b', 'changed-in-target', 'changed-in-target', 'changed-in-target', 'write'],
    ['-', '-', 'b', 'added-to-target', 'added-to-target', 'added-to-target', 'remove'],
    ['a', 'a', '-', 'removed-from-target', 'removed-from-target', 'write', 'write'],
    ['a', 'b', 'c', 'conflict', 'conflict', 'write', 'write'],
    ['-', 'b', 'c', 'conflict', 'conflict', 'write', 'write'],
    ['a', '-', 'c', 'conflict', 'conflict', 'removed-from-source', 'remove'],
    ['a', 'b', '-', 'conflict', 'conflict', 'write', 'write'],
  ];

  test.each(rows)('common %s, source %s, target %s: %s; with --replace %s', (common, source, target, ...steps) => {
    const [one, two, three] = [common, source, target].map((version) => (version === '-' ? undefined : version));
    const versions = { common: one, source: two, target: three };
    const step = (rules: Partial<SyncRules>) => syncStep(versions, { ...NONE, ...rules });
    const winning = { winner: 'source' } as const;
    expect([
      step({}),
      step({ replaces: true }),
      step(winning),
      step({ ...winning, replaces: true }),
      // As push --watch, which does not overrule what the target alone has changed.
      step({ ...winning, replaces: true, overrules: false }),
      step({ winner: 'target' }),
    ]).toEqual([
      ...steps,
      steps[1] === 'conflict' ? steps[3] : steps[1],
      steps[0] === 'conflict' ? 'target-wins' : steps[0],
    ]);
  });
});

test('a conflict that was decided is one again when either version is another one', () => {
  const settled = { winner: 'b', loser: 'c' };
  const step = (source: string, target: string) => syncStep({ common: 'a', source, target, settled }, NONE);
  expect([step('c', 'b'), step('b', 'c')]).toEqual(['target-wins', 'write']);
  expect([step('c', 'd'), step('d', 'c'), step('d', 'b'), step('b', 'd')]).toEqual(Array(4).fill('conflict'));
});

test('a new caption is written without its picture only if that was decided', () => {
  const source = new Map(Object.entries({ '1.jpg': 'own', '1.txt': 'words' }));
  const versions = { common: new Map(), source, target: new Map([['1.jpg', 'other']]) };
  const stepBy = (...decided: ['1.jpg' | '1.txt', 'source' | 'target'][]) => {
    const plan = syncPlanOf(versions, { ...NONE, decisions: new Map(decided) });
    return Object.entries(plan).find(([, names]) => names.includes('1.txt'))?.[0];
  };
  expect([stepBy(), stepBy(['1.txt', 'source'])]).toEqual(['conflict', 'write']);
  expect([stepBy(['1.txt', 'target']), stepBy(['1.jpg', 'target'])]).toEqual(Array(2).fill('target-wins'));
});

test('what both have in common is no longer taken for sent or decided', async () => {
  const pair = { folders: ['/photos'], url: 'http://localhost', datasetId: 'd' };
  const [sent, common] = [new Map([['a.mp4', 'v1']]), new Map([['a.mp4', 'v2']])];
  await changeState(pair, new Map(), { sent, settled: new Map([['a.mp4', { winner: 'v1', loser: 'v2' }]]) });
  await changeState(pair, common);
  const state = await readState(pair);
  // The dataset was restored since.
  expect([commonWith(state, sent), state.settled]).toEqual([common, new Map()]);
});

const version = fc.constantFrom(undefined, 'a', 'b', 'c');
const triple = fc.record({ common: version, source: version, target: version });
const files = fc.dictionary(fc.constantFrom('1.txt', '2.txt', '3.txt', '4.jpg'), triple, { noNullPrototype: true });
const rules: fc.Arbitrary<SyncRules> = fc.record({
  winner: fc.constantFrom(undefined, 'source', 'target'),
  replaces: fc.boolean(),
  overrules: fc.boolean(),
});

test('a plan puts each file into one list, and nothing is left to do once it was carried out and remembered', () => {
  const property = fc.property(files, rules, (triples, chosen) => {
    const sideOf = (side: 'common' | 'source' | 'target') =>
      new Map(
        Object.entries(triples).flatMap(([name, { [side]: text }]) => (text === undefined ? [] : [[name, text]])),
      );
    const [common, source, target] = [sideOf('common'), sideOf('source'), sideOf('target')];
    const plan = syncPlanOf({ common, source, target }, { ...chosen, decisions: new Map() });
    const { write, remove, conflict } = plan;
    expect(Object.values(plan).flat().sort()).toEqual([...new Set([...source.keys(), ...target.keys()])].sort());
    const after = new Map(target);
    for (const name of write) after.set(name, source.get(name)!);
    for (const name of remove) after.delete(name);
    const remembered = new Map<string, string>(common);
    for (const [name, sha256] of commonChanges(common, source, after)) {
      if (sha256 === undefined) remembered.delete(name);
      else remembered.set(name, sha256);
    }
    const again = syncPlanOf({ common: remembered, source, target: after }, { ...chosen, decisions: new Map() });
    expect([again.write, again.remove, again.conflict]).toEqual([[], [], conflict]);
  });
  fc.assert(property, { numRuns: 2000 });
});

test('a caption that is replaced by one of the same size and modification time is another version', async () => {
  const folder = await folderWith({ 'a.txt': 'a red wagon' });
  const path = join(folder, 'a.txt');
  // Whole seconds, as archives and some file systems keep them.
  const time = new Date('2026-01-01T00:00:00Z');
  await utimes(path, time, time);
  const inspector = new FileInspector();
  const hash = async () => {
    const [file] = (await readPaths([folder], { follow: false })).files;
    return inspector.sha256(file!);
  };
  const before = await hash();
  await writeFile(join(folder, 'new'), 'a old wagon');
  await utimes(join(folder, 'new'), time, time);
  await rename(join(folder, 'new'), path);
  expect((await stat(path)).mtimeMs).toBe(time.getTime());
  expect(await hash()).not.toBe(before);
});

test('a conflict of captions shows their lines, and no empty one after a line break at the end', () => {
  const conflict = (folder: string, dataset: string) => {
    const [ours, theirs] = [folder, dataset].map((text) => ({ sizeBytes: text.length, text }));
    return conflictLines([{ filename: 'a.txt', folder: ours, dataset: theirs }], (_, text) => text).slice(1);
  };
  expect(conflict('a wagon\n', 'a red wagon')).toEqual(['  - a wagon', '  + a red wagon']);
  expect(conflict('a wagon\n', 'a wagon')).toEqual([expect.stringContaining('line break at their end')]);
});
