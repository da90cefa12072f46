import { nearestName } from '../../nearest-name.js';
import type { LinkSlot, Status } from '../dataset.js';
import { byFilename } from '../names.js';
import { type ErrorProblem, listedNames, numbered, type Problem, type Warning } from '../problems.js';
import {
  imageThatTrainerTakes,
  MAX_CONTROL_ASPECT,
  MIN_CONTROL_SIDE,
  PAIR_FAULTS,
  type PairFault,
  type PairFile,
  type PairGroups,
  type PairProof,
} from './pair-faults.js';
import { slotText } from './roles.js';

/** The search for similar names is quadratic. */
const MAX_SUGGESTIONS = 20;

/** A target shows these warnings of its mask's files, since they decide what is trained. */
const SHOWN_FOR_TARGET: ReadonlySet<string> = new Set(['BLACK_MASK', 'MASK_NOT_GRAYSCALE']);

export interface JudgedLink {
  readonly slot: LinkSlot;
  readonly name: string;
  readonly groups: PairGroups;
  readonly proof: PairProof;
  readonly warnings: readonly Warning[];
}

/** One for each kind, in an order that does not depend on the files. */
export function pairFindingsOf(targetName: string, link: JudgedLink): Problem[] {
  return [
    ...PAIR_FAULTS.flatMap((fault) => (link.proof[fault].length === 0 ? [] : [problemOf(fault, link, targetName)])),
    ...ofMaskFiles(link),
  ];
}

/** An UPLOADING linked dataset is no error: its target is UPLOADING too. */
export function notReadyProblems(link: Pick<JudgedLink, 'slot' | 'name'>, status: Status): ErrorProblem[] {
  if (status !== 'FAILED' && status !== 'DRAFT') return [];
  const reason = status === 'DRAFT' ? 'has no files. Upload its images.' : 'is FAILED. Its status says what to repair.';
  return [{ severity: 'error', code: 'LINKED_NOT_READY', message: `${textOf(link)} ${reason}` }];
}

function problemOf(fault: PairFault, link: JudgedLink, targetName: string): Problem {
  const isMask = link.slot === 'mask';
  const [noun, linked] = [isMask ? 'mask' : 'control', textOf(link)];
  const stems = link.proof[fault];
  const n = stems.length;
  const names = listedNames(stems);
  switch (fault) {
    case 'missing': {
      const what = `${linked} has no ${noun} for ${numbered(n, 'image')} of ${quoted(targetName)}: ${names}.`;
      const advice = `Upload a JPEG, PNG or WebP image of the same name to ${quoted(link.name)}.`;
      const code = isMask ? 'MISSING_MASK' : 'MISSING_CONTROL';
      return { severity: 'error', code, message: [what, advice, ...hintsOf(link)].join(' ') };
    }
    case 'ambiguous': {
      const choices = listedNames(stems.map((stem) => choiceOf(stem, link)));
      const what = `${linked} has several images of one name, of which the trainer takes one: ${choices}.`;
      const code = isMask ? 'AMBIGUOUS_MASK' : 'AMBIGUOUS_CONTROL';
      return { severity: 'error', code, message: `${what} Delete or rename the others.` };
    }
    case 'misfit': {
      if (isMask) {
        const what = `${numbered(n, 'mask')} in ${linked} ${n === 1 ? 'has' : 'have'} another orientation than the image: ${names}.`;
        const advice =
          'The trainer stops, or counts the wrong region. Upload masks with the aspect ratio of the image.';
        return { severity: 'error', code: 'MASK_SIZE', message: `${what} ${advice}` };
      }
      const what = `${numbered(n, 'control')} in ${linked} ${n === 1 ? 'is' : 'are'} too small or too narrow: ${names}.`;
      const limits = `FLUX.2 stops at sides under ${MIN_CONTROL_SIDE} pixels and beyond ${MAX_CONTROL_ASPECT}:1.`;
      return { severity: 'error', code: 'CONTROL_SIZE', message: `${what} ${limits} Upload larger or wider images.` };
    }
    case 'stretched': {
      const what = `${numbered(n, noun)} in ${linked} ${n === 1 ? 'has' : 'have'} another aspect ratio than the image: ${names}.`;
      const effect = isMask
        ? 'The trainer stretches a mask over the image, so that another region counts.'
        : 'FLUX.1 Kontext and Qwen-Image-Edit stretch a control to the image; Qwen-Image-Edit-2509, FLUX.2 and Krea 2 do not.';
      return { severity: 'warning', code: isMask ? 'MASK_SIZE' : 'CONTROL_SIZE', message: `${what} ${effect}` };
    }
    case 'clip': {
      const what = `${linked} has a clip, and no image, for ${numbered(n, 'clip')} of ${quoted(targetName)}: ${names}.`;
      const advice =
        'Only MiniMax-H3 Ref2V takes clips as controls. For other models, upload an image of the same name.';
      return { severity: 'warning', code: 'CLIP_CONTROL', message: `${what} ${advice}` };
    }
    case 'extra': {
      const what = `${quoted(targetName)} has no image for ${numbered(n, noun)} in ${linked}: ${names}.`;
      const code = isMask ? 'EXTRA_MASK' : 'EXTRA_CONTROL';
      return { severity: 'warning', code, message: `${what} The trainer ignores such a ${noun}.` };
    }
  }
}

function ofMaskFiles(link: JudgedLink): Warning[] {
  const shown = link.warnings.filter(({ code }) => SHOWN_FOR_TARGET.has(code)).sort(byFilename);
  return shown.map(({ code, message }) => ({ severity: 'warning', code, message: `${textOf(link)}: ${message}` }));
}

/** For missing images: files that the trainer does not read, or that have a similar name. */
function hintsOf({ groups, proof }: JudgedLink): string[] {
  const unread = proof.missing.flatMap((stem) => namesOf(groups.get(stem)).slice(0, 1));
  const similar = proof.missing.slice(0, MAX_SUGGESTIONS).flatMap((stem) => {
    const near = groups.has(stem) ? undefined : nearestName(stem, proof.extra, Math.min(2, stem.length / 2));
    const name = near === undefined ? undefined : namesOf(groups.get(near))[0];
    return name === undefined ? [] : [`${name} for ${stem}`];
  });
  return [
    ...(unread.length > 0 ? [`The trainer does not read ${listedNames(unread)} there.`] : []),
    ...(similar.length > 0
      ? [`Perhaps these were meant: ${listedNames(similar)}. Names must be equal in every letter.`]
      : []),
  ];
}

/** `a.jpg (not a.png)` */
function choiceOf(stem: string, { groups }: JudgedLink): string {
  const images = (groups.get(stem) ?? []).filter(({ kind }) => kind === 'image');
  const taken = imageThatTrainerTakes(images);
  const others = namesOf(images.filter((file) => file !== taken));
  return `${taken?.filename ?? stem} (not ${listedNames(others, ' or ')})`;
}

/** Sorted, since the files of a stem are in any order. */
function namesOf(files: readonly PairFile[] = []): string[] {
  return files.map(({ filename }) => filename).sort();
}

/** `"railway-depth" (control 1)` */
function textOf({ name, slot }: Pick<JudgedLink, 'slot' | 'name'>): string {
  return `${quoted(name)} (${slotText(slot)})`;
}

function quoted(name: string): string {
  return `"${name}"`;
}
