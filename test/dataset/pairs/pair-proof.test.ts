import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stemGroupsOf } from '../../../src/dataset/counts.js';
import type { LinkSlot, StoredFile } from '../../../src/dataset/dataset.js';
import { mediaTypeOf } from '../../../src/dataset/media.js';
import { isPairFile, pairErrorsIn, pairFaultOf, provePairs } from '../../../src/dataset/pairs/pair-faults.js';
import { notReadyProblems, pairFindingsOf } from '../../../src/dataset/pairs/pair-findings.js';
import { LINK_SLOTS } from '../../../src/dataset/pairs/roles.js';
import { errorIn, warningIn } from '../../../src/dataset/problems.js';

interface Options {
  readonly size?: readonly [width: number, height: number] | undefined;
  readonly isDamaged?: boolean;
  readonly isBlack?: boolean;
}

function stored(
  filename: string,
  { size = [1024, 768], isDamaged = false, isBlack = false }: Options = {},
): StoredFile {
  const { kind } = mediaTypeOf(filename)!;
  const [width, height] = size;
  const facts =
    kind === 'caption' ? ({ kind, characters: 1 } as const) : ({ kind, format: 'x', width, height } as const);
  const warnings = isBlack ? [warningIn(filename, 'BLACK_MASK', 'black')] : [];
  const bytes = { sizeBytes: 1, sha256: 'ab'.repeat(32), contentType: 'x', facts, warnings, blobVersion: null };
  const problem = isDamaged ? { problem: errorIn(filename, 'IMAGE_CORRUPT', 'broken') } : {};
  const upload = { state: 'stored', ...bytes, finalizedAt: 1, ...problem } as const;
  return { id: filename, datasetId: 'dataset', filename, kind, createdAt: 1, upload };
}

const files = (...names: string[]) => names.map((name) => stored(name));

/** Those that a recheck found damaged are in no pair. */
const groupsOf = (all: readonly StoredFile[]) =>
  stemGroupsOf(all.filter((file) => isPairFile(file) && file.upload.problem === undefined));

function findingsOf(target: StoredFile[], linked: StoredFile[], slot: LinkSlot = 'control_1') {
  const groups = groupsOf(linked);
  const proof = provePairs(groupsOf(target), groups, slot);
  const warnings = linked.flatMap(({ upload }) => upload.warnings);
  return pairFindingsOf('railway', { slot, name: 'railway-depth', groups, proof, warnings });
}

const NAMES = ['a.jpg', 'a.JPEG', 'a.png', 'a.txt', 'a.mp4', 'a.gif', 'b.webp', 'b.txt', 'B.webp', 'c.mkv', 'c.jpg'];
const SIZES = [
  [1024, 768],
  [768, 1024],
  [512, 384],
  [63, 64],
  [1000, 100],
] as const;

const anyFiles = fc
  .uniqueArray(fc.constantFrom(...NAMES), { maxLength: NAMES.length })
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc
          .record({ size: fc.constantFrom(...SIZES), isDamaged: fc.boolean(), isBlack: fc.boolean() })
          .map((options) => stored(name, options)),
      ),
    ),
  );
const anySlot = fc.constantFrom(...LINK_SLOTS);

describe('the proof of pairs', () => {
  test('has an error in its findings if and only if it counts one', () => {
    fc.assert(
      fc.property(anyFiles, anyFiles, anySlot, (target, linked, slot) => {
        const count = pairErrorsIn(provePairs(groupsOf(target), groupsOf(linked), slot));
        const errors = findingsOf(target, linked, slot).filter(({ severity }) => severity === 'error');
        expect(errors.length > 0).toBe(count > 0);
      }),
    );
  });

  test('finds nothing where each target has a control, of any type and size', () => {
    const target = [...files('a.jpg', 'a.txt', 'b.png', 'b.txt'), stored('c.mp4')];
    const linked = [stored('a.webp', { size: [512, 384] }), stored('b.PNG', { size: [4000, 3001] }), stored('c.jpeg')];
    expect(findingsOf(target, linked)).toEqual([]);
  });

  test.each([
    { title: 'an image without a control', target: 'a.jpg', linked: '', fault: 'missing' },
    { title: 'a clip without a control', target: 'a.mp4', linked: '', fault: 'missing' },
    { title: 'a control of a type that the trainer does not read', target: 'a.jpg', linked: 'a.gif', fault: 'missing' },
    { title: 'a clip as the control of an image', target: 'a.jpg', linked: 'a.mp4', fault: 'missing' },
    { title: 'a clip as the control of a clip', target: 'a.mp4', linked: 'a.mp4', fault: 'clip' },
    { title: 'a clip as the control of an image and a clip', target: 'a.mp4 a.jpg', linked: 'a.mp4', fault: 'missing' },
    { title: 'two controls of one name', target: 'a.jpg', linked: 'a.jpg a.png', fault: 'ambiguous' },
    { title: 'a control without a target', target: '', linked: 'a.jpg', fault: 'extra' },
    { title: 'a control of a target that is not trained on', target: 'a.gif', linked: 'a.jpg', fault: 'extra' },
    { title: 'two targets of one name', target: 'a.jpg a.png', linked: 'a.webp', fault: undefined },
  ])('judges $title: $fault', ({ target, linked, fault }) => {
    const [of, other] = [target, linked].map((names) => files(...names.split(' ').filter(Boolean)));
    expect(pairFaultOf(of!, other!, 'control_1')).toBe(fault);
  });

  test.each([
    // Within rounding: a third of 1000 is 333.
    { slot: 'control_2', target: [1000, 667], linked: [333, 222], fault: undefined },
    { slot: 'control_2', target: [1024, 1024], linked: [1050, 1024], fault: 'stretched' },
    { slot: 'control_1', target: [1024, 768], linked: [768, 1024], fault: 'stretched' },
    { slot: 'control_1', target: [1024, 768], linked: [85, 64], fault: undefined },
    { slot: 'control_1', target: [1024, 768], linked: [84, 63], fault: 'misfit' },
    { slot: 'control_1', target: [1024, 128], linked: [1024, 128], fault: undefined },
    { slot: 'control_1', target: [1025, 128], linked: [1025, 128], fault: 'misfit' },
    // Each side is off by a pixel at most, which is more than 2 % of it.
    { slot: 'control_1', target: [1024, 1000], linked: [64, 64], fault: undefined },
    { slot: 'mask', target: [1024, 768], linked: [768, 1024], fault: 'misfit' },
    { slot: 'mask', target: [1024, 768], linked: [1024, 1024], fault: 'stretched' },
    { slot: 'mask', target: [1024, 768], linked: [40, 30], fault: undefined },
  ] as const)('judges sizes: $target with $linked as $slot: $fault', ({ slot, target, linked, fault }) => {
    const [of, other] = [stored('a.jpg', { size: target }), stored('a.png', { size: linked })];
    expect(pairFaultOf([of], [other], slot)).toBe(fault);
  });

  test('prefers the error of one of two targets to the warning of the other', () => {
    const targets = ([1024, 768] as const).map((height) => stored('a.jpg', { size: [1024, height] }));
    expect(pairFaultOf(targets, [stored('a.webp', { size: [768, 1024] })], 'mask')).toBe('misfit');
  });

  test('counts no file that a recheck found damaged', () => {
    const damaged = stored('a.jpg', { isDamaged: true });
    expect(findingsOf(files('a.jpg'), [damaged])).toMatchObject([{ code: 'MISSING_CONTROL' }]);
    expect(findingsOf([damaged], [])).toEqual([]);
  });
});

describe('the findings of pairs', () => {
  test('name the first ten stems, how many more there are, and what to do', () => {
    const numbers = Array.from({ length: 1234 }, (_, i) => String(i).padStart(4, '0'));
    const [finding, ...others] = findingsOf(files(...numbers.map((number) => `${number}.jpg`)), []);
    expect(others).toEqual([]);
    expect(finding).toEqual({
      severity: 'error',
      code: 'MISSING_CONTROL',
      message:
        '"railway-depth" (control 1) has no control for 1,234 images of "railway": 0000, 0001, 0002, 0003, 0004, 0005, 0006, 0007, 0008, 0009 and 1,224 more. Upload a JPEG, PNG or WebP image of the same name to "railway-depth".',
    });
  });

  test('say which file may have been meant', () => {
    const target = files('dog.jpg', 'cat.jpg', 'cow.jpg');
    const [missing, extra] = findingsOf(target, files('Dog.png', 'cat.gif'));
    expect(missing).toMatchObject({ code: 'MISSING_CONTROL' });
    expect(missing?.message).toContain('for 3 images of "railway": cat, cow, dog.');
    expect(missing?.message).toContain('The trainer does not read cat.gif there.');
    expect(missing?.message).toContain(
      'Perhaps these were meant: Dog.png for dog. Names must be equal in every letter.',
    );
    expect(extra).toMatchObject({ severity: 'warning', code: 'EXTRA_CONTROL' });
  });

  test.each([
    { slot: 'control_1', size: [768, 1024], expected: { severity: 'warning', code: 'CONTROL_SIZE' } },
    { slot: 'control_1', size: [40, 30], expected: { severity: 'error', code: 'CONTROL_SIZE' } },
    { slot: 'mask', size: [768, 1024], expected: { severity: 'error', code: 'MASK_SIZE' } },
    { slot: 'mask', size: [1024, 1024], expected: { severity: 'warning', code: 'MASK_SIZE' } },
  ] as const)('are as severe as what the trainer does: $expected.severity for $size as $slot', (each) => {
    const linked = [stored('a.png', { size: each.size })];
    expect(findingsOf(files('a.jpg'), linked, each.slot)).toMatchObject([each.expected]);
  });

  test('name a linked dataset that is not READY, and show the warnings about its masks', () => {
    const groups = groupsOf(files('a.png'));
    const proof = provePairs(groups, groups, 'mask');
    const warnings = [
      warningIn('a.png', 'BLACK_MASK', 'a.png is black.'),
      warningIn('a.png', 'MASK_NOT_GRAYSCALE', 'a.png has colours.'),
      warningIn('a.png', 'CONTENT_DIFFERS', 'other'),
    ];
    const link = { slot: 'mask', name: 'masks', groups, proof, warnings } as const;
    expect(pairFindingsOf('railway', link)).toEqual([
      { severity: 'warning', code: 'BLACK_MASK', message: '"masks" (mask): a.png is black.' },
      { severity: 'warning', code: 'MASK_NOT_GRAYSCALE', message: '"masks" (mask): a.png has colours.' },
    ]);
    expect(notReadyProblems(link, 'FAILED')).toEqual([
      {
        severity: 'error',
        code: 'LINKED_NOT_READY',
        message: '"masks" (mask) is FAILED. Its status says what to repair.',
      },
    ]);
    expect(notReadyProblems(link, 'DRAFT')).toMatchObject([
      { code: 'LINKED_NOT_READY', message: '"masks" (mask) has no files. Upload its images.' },
    ]);
    expect([notReadyProblems(link, 'UPLOADING'), notReadyProblems(link, 'READY')]).toEqual([[], []]);
  });
});
