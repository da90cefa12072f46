import { describe, expect, test } from 'vitest';
import { countsOf } from '../../src/dataset/counts.js';
import { allFindings, findingsOf } from '../../src/dataset/findings.js';
import { mediaTypeOf } from '../../src/dataset/media.js';
import { errorIn } from '../../src/dataset/problems.js';
import { imageNamed } from '../harness/stored-image.js';

const findingsOfNames = (role: 'training' | 'control' | 'mask', ...filenames: string[]) => {
  const files = filenames.map((filename) => ({ filename, kind: mediaTypeOf(filename)!.kind }));
  const { errors, warnings } = allFindings([], files, { role });
  return [...errors, ...warnings].map(({ code, message }) => `${code} ${message}`);
};

describe('the findings of a control or mask dataset', () => {
  test.each(['control', 'mask'] as const)('a %s needs no captions; those that are there are unused', (role) => {
    expect(findingsOfNames(role, 'a.jpg', 'b.png')).toEqual([]);
    expect(findingsOfNames(role, 'a.jpg', 'a.txt', 'c.txt')).toEqual([
      `UNUSED_CAPTION Captions in a ${role} dataset are kept, and the trainer does not read them: a.txt, c.txt.`,
    ]);
    expect(findingsOfNames('training', 'a.jpg')).toEqual([expect.stringMatching(/^MISSING_CAPTION/)]);
  });

  test('the trainer takes one of two images with one stem', () => {
    expect(findingsOfNames('control', 'a.jpg', 'a.png', 'b.jpg')).toEqual([
      'SHARED_STEM a.jpg and a.png have the same name before the extension, and the trainer takes one of them. Delete or rename the others.',
    ]);
    expect(findingsOfNames('control', 'a.JPG', 'a.jpg')).toContainEqual(expect.stringMatching(/^NAME_COLLISION/));
  });

  test('a clip is no mask', () => {
    expect(findingsOfNames('mask', 'a.png', 'b.mp4')).toEqual([
      'NOT_TRAINED_ON No trainer reads the clip b.mp4 as a mask. Upload a PNG, JPEG or WebP of the same name instead, which counts for all frames.',
    ]);
    // Beside images that are not read either.
    expect(findingsOfNames('mask', 'a.gif', 'b.mp4')).toEqual([
      expect.stringMatching(/^NO_TRAINABLE_MEDIA The trainer reads none of the image types/),
      expect.stringMatching(/^NOT_TRAINED_ON/),
    ]);
  });

  test('clips alone are no mask dataset, which one error says; as controls they may be', () => {
    expect(findingsOfNames('mask', 'a.mp4', 'b.webm', 'b.txt')).toEqual([
      'NO_TRAINABLE_MEDIA The dataset has clips and no image, and no trainer reads a clip as a mask. Upload a PNG, JPEG or WebP of the same name for each clip, which counts for all its frames.',
      expect.stringMatching(/^UNUSED_CAPTION/),
    ]);
    expect(findingsOfNames('control', 'a.mp4')).toEqual([]);
  });
});

describe('the findings of a training dataset', () => {
  test('pair captions by exact case; one without its image is an orphan, with the nearest name', () => {
    const findings = findingsOfNames('training', 'Dog.jpg', 'dog.txt');
    expect(findings).toContainEqual(expect.stringMatching(/^MISSING_CAPTION .*Dog\.txt/));
    expect(findings).toContainEqual(expect.stringMatching(/^ORPHAN_CAPTION .* The nearest name is Dog\.$/));
  });

  test('do not call the caption of a rejected image an orphan', () => {
    const problem = errorIn('a.jpg', 'IMAGE_CORRUPT', 'a.jpg is broken');
    const image = { ...imageNamed('a.jpg'), filename: 'a.jpg' };
    const rejected = { ...image, upload: { state: 'rejected', problem, finalizedAt: 1 } } as const;
    const caption = { ...image, filename: 'a.txt', kind: 'caption' } as const;
    expect(findingsOf([rejected, caption], 2).warnings).toEqual([]);
  });

  test('warn once of two images whose names differ only in case', () => {
    const findings = findingsOfNames('training', 'dog.jpg', 'dog.txt', 'Dog.png', 'Dog.txt');
    expect(findings).toEqual([expect.stringMatching(/^SIMILAR_STEM .*[dD]og/)]);
  });
});

describe('sound', () => {
  const clip = (filename: string, hasAudio?: boolean) => ({ filename, kind: 'video' as const, hasAudio });
  const soundFindings = (...clips: ReturnType<typeof clip>[]) =>
    allFindings([], clips).warnings.flatMap(({ code, message }) => (code === 'MIXED_SOUND' ? message : []));

  test('that some clips have and others not is a warning, with the names', () => {
    expect(soundFindings(clip('a.mp4', true), clip('b.mp4', false), clip('c.mp4', true), clip('d.mp4'))).toEqual([
      expect.stringMatching(/^1 clip has no sound, and 2 have: b\.mp4\. .*leaves the clips without it out/),
    ]);
    expect(soundFindings(clip('a.mp4', true), clip('b.mp4', true))).toEqual([]);
    expect(soundFindings(clip('a.mp4', false), clip('b.mp4'))).toEqual([]);
  });
});

test('a structured caption is none for a trainer that reads .txt, in the counts and in the findings', () => {
  const uncaptioned = (...filenames: string[]) =>
    countsOf(
      filenames.map((filename) => {
        return { filename, kind: mediaTypeOf(filename)!.kind, upload: { state: 'stored', sizeBytes: 1 } };
      }),
    ).uncaptioned;
  const errors = (...filenames: string[]) => findingsOfNames('training', ...filenames).length;
  expect([uncaptioned('a.jpg', 'a.json'), errors('a.jpg', 'a.json')]).toEqual([1, 1]);
  expect([uncaptioned('a.jpg', 'a.json', 'a.TXT'), errors('a.jpg', 'a.json', 'a.TXT')]).toEqual([0, 0]);
});
