import { nearestName } from '../nearest-name.js';
import { stemGroupsOf } from './counts.js';
import { type Dataset, type DatasetFile, liveUntil, type Micros, type Role, type StoredFile } from './dataset.js';
import type { Facts } from './inspect/inspection.js';
import { isTextCaption, mediaTypeOf, mountedNameOf, stemOf } from './media.js';
import { byFilename } from './names.js';
import {
  errorIn,
  type ErrorProblem,
  type ErrorProblemCode,
  listedNames,
  plainCount,
  type Problem,
  type Warning,
  warningIn,
} from './problems.js';

export interface Findings {
  readonly errors: readonly ErrorProblem[];
  readonly warnings: readonly Warning[];
}

/** `hasAudio` is `undefined` for all but clips, and where it is not known. */
type NamedFile = Pick<StoredFile, 'filename' | 'kind'> & { readonly hasAudio?: boolean | undefined };

/** Further orphaned captions get no suggestion, since the search is quadratic. */
const MAX_SUGGESTIONS = 20;

/**
 * In order of filename. Without uploads in flight, and after the grace, errors mean exactly that `statusOf` is FAILED.
 *
 * @param options.problems of links, which concern no file
 */
export function findingsOf(
  files: readonly DatasetFile[],
  now: Micros,
  { role = 'training', problems = [] }: { role?: Role; problems?: readonly Problem[] } = {},
): Findings {
  const stored: NamedFile[] = [];
  const uploads: NamedFile[] = [];
  const ofFiles = [...problems];
  for (const file of files) {
    (file.upload.state === 'stored' ? stored : uploads).push(file.kind === 'video' ? withSound(file) : file);
    ofFiles.push(...uploadFindings(file, now));
  }
  return allFindings(ofFiles, stored, { uploads, role });
}

function withSound({ filename, kind, upload }: DatasetFile): NamedFile {
  return { filename, kind, hasAudio: upload.state === 'stored' ? hasAudioIn(upload.facts) : undefined };
}

export function hasAudioIn(facts: Facts): boolean | undefined {
  return facts.kind === 'video' ? facts.hasAudio : undefined;
}

/** Adds what follows from the set of files. @param options.uploads may still become the media of stored captions */
export function allFindings(
  ofFiles: readonly Problem[],
  stored: readonly NamedFile[],
  { uploads = [], role = 'training' }: { uploads?: readonly NamedFile[]; role?: Role } = {},
): Findings {
  const uploadedStems = new Set(
    uploads.filter(({ kind }) => kind !== 'caption').map(({ filename }) => stemOf(filename)),
  );
  const ofStems = role === 'training' ? pairFindings(stored, uploadedStems) : imageFindings(stored, role);
  const findings = [...ofFiles, ...ofStems, ...mediaFindings(stored, role)];
  findings.sort(byFilename);
  return {
    errors: findings.filter((finding) => finding.severity === 'error'),
    warnings: findings.filter((finding) => finding.severity === 'warning'),
  };
}

function uploadFindings({ filename, upload }: DatasetFile, now: Micros): readonly Problem[] {
  switch (upload.state) {
    case 'pending': {
      if (liveUntil(upload) > now) return [];
      const advice = 'Upload it again, or delete it from the dataset.';
      return [errorIn(filename, 'UPLOAD_EXPIRED', `The upload of ${filename} was not completed in time. ${advice}`)];
    }
    case 'received':
      return [];
    case 'stored':
      return upload.problem === undefined ? upload.warnings : [upload.problem, ...upload.warnings];
    case 'rejected':
      return [upload.problem];
  }
}

function pairFindings(stored: readonly NamedFile[], uploadedStems: ReadonlySet<string>): Problem[] {
  const findings: Problem[] = [];
  const orphans: NamedFile[] = [];
  const mediaByStem = new Map<string, string>();
  for (const [stem, group] of stemGroupsOf(stored)) {
    const paired = pairedMedia(group);
    if (paired !== undefined) {
      mediaByStem.set(stem, paired.filename);
      continue;
    }
    const media = group.filter((file) => file.kind !== 'caption');
    const captions = group.filter((file) => file.kind === 'caption');
    if (media[0] !== undefined) mediaByStem.set(stem, media[0].filename);
    const text = captions.find(({ filename }) => isTextCaption(filename));
    if (text === undefined) findings.push(...media.map((file) => missingCaption(file, captions[0])));
    if (media.length === 0 && !uploadedStems.has(stem)) orphans.push(...captions);
    if (media.length > 1) findings.push(sharedStem(media));
    findings.push(...collisions(group));
  }
  return [...findings, ...orphanFindings(orphans, [...mediaByStem.keys()]), ...similarStems(mediaByStem)];
}

function imageFindings(stored: readonly NamedFile[], role: 'control' | 'mask'): Problem[] {
  const captions = stored.filter(({ kind }) => kind === 'caption').map(({ filename }) => filename);
  const media = stored.filter(({ kind }) => kind !== 'caption');
  const findings: Problem[] = captions.length === 0 ? [] : [unusedCaptions(captions, role)];
  for (const group of stemGroupsOf(media).values()) {
    const names = group.map(({ filename }) => filename);
    if (names.length > 1) {
      const message = `${listedNames(names, ' and ')} have the same name before the extension, and the trainer takes one of them. Delete or rename the others.`;
      findings.push(warningIn(names[0] ?? '', 'SHARED_STEM', message));
    }
    findings.push(...collisions(group));
  }
  // ai-toolkit looks only for images as masks (`toolkit/dataloader_mixins.py:1576`). Clips alone are an error.
  if (role !== 'mask' || !media.some(isImage)) return findings;
  return [...findings, ...media.filter(({ kind }) => kind === 'video').map(clipAsMask)];
}

function isImage({ kind }: NamedFile): boolean {
  return kind === 'image';
}

function clipAsMask({ filename }: NamedFile): Warning {
  const advice = 'Upload a PNG, JPEG or WebP of the same name instead, which counts for all frames.';
  return warningIn(filename, 'NOT_TRAINED_ON', `No trainer reads the clip ${filename} as a mask. ${advice}`);
}

function unusedCaptions(filenames: readonly string[], role: 'control' | 'mask'): Warning {
  const message = `Captions in a ${role} dataset are kept, and the trainer does not read them: ${listedNames(filenames)}.`;
  return { severity: 'warning', code: 'UNUSED_CAPTION', message };
}

/** The common case of one medium with its caption, which has no findings. */
function pairedMedia(group: readonly NamedFile[]): NamedFile | undefined {
  const [one, other] = group;
  if (group.length !== 2 || (one?.kind === 'caption') === (other?.kind === 'caption')) return undefined;
  const [media, caption] = one?.kind === 'caption' ? [other, one] : [one, other];
  return caption !== undefined && isTextCaption(caption.filename) ? media : undefined;
}

/** @param structured is read by a trainer with another setting (ai-toolkit `caption_ext`), and by default the caption is empty */
function missingCaption({ filename }: NamedFile, structured: NamedFile | undefined): ErrorProblem {
  const wanted = `${stemOf(filename)}.txt`;
  const message =
    structured === undefined
      ? `${filename} has no caption. Upload ${wanted}.`
      : `${filename} has the structured caption ${structured.filename} alone, and trainers read .txt unless they are told otherwise. Upload ${wanted} too; it may be blank if yours reads .json.`;
  return errorIn(filename, 'MISSING_CAPTION', message);
}

function sharedStem(media: readonly NamedFile[]): Warning {
  const names = media.map((file) => file.filename);
  const message = `${listedNames(names, ' and ')} have the same name before the extension, so the trainer gives them the same caption.`;
  return warningIn(names[0] ?? '', 'SHARED_STEM', message);
}

function collisions(group: readonly NamedFile[]): ErrorProblem[] {
  const owners = new Map<string, string>();
  const findings: ErrorProblem[] = [];
  for (const { filename } of group) {
    const mounted = mountedNameOf(filename);
    const owner = owners.get(mounted);
    if (owner === undefined) owners.set(mounted, filename);
    else {
      const message = `${filename} and ${owner} differ only in the case of the extension and would overwrite each other when mounted. Delete or rename one.`;
      findings.push(errorIn(filename, 'NAME_COLLISION', message));
    }
  }
  return findings;
}

function orphanFindings(orphans: readonly NamedFile[], mediaStems: readonly string[]): Warning[] {
  return orphans.map(({ filename }, index) => {
    const stem = stemOf(filename);
    const near = index < MAX_SUGGESTIONS ? nearestName(stem, mediaStems, Math.max(2, stem.length / 2)) : undefined;
    const hint = near === undefined ? '' : ` The nearest name is ${near}.`;
    const message = `${filename} belongs to no image or video, so the trainer ignores it.${hint}`;
    return warningIn(filename, 'ORPHAN_CAPTION', message);
  });
}

/** Stems that differ only in case are the same file on macOS and Windows. */
function similarStems(mediaByStem: ReadonlyMap<string, string>): Warning[] {
  const seen = new Map<string, string>();
  const findings: Warning[] = [];
  for (const [stem, filename] of mediaByStem) {
    const folded = stem.toLowerCase();
    const other = seen.get(folded);
    if (other === undefined) seen.set(folded, filename);
    else {
      const message = `${filename} and ${other} differ only in case, so their captions have one name on Windows and macOS. Rename one.`;
      findings.push(warningIn(filename, 'SIMILAR_STEM', message));
    }
  }
  return findings;
}

function mediaFindings(stored: readonly NamedFile[], role: Role): Problem[] {
  if (stored.length === 0) return [];
  const images = stored.filter(isImage).length;
  const videos = stored.filter((file) => file.kind === 'video').length;
  if (images + videos === 0) {
    const message = 'The dataset has captions but no image or video. Upload the images or videos that they belong to.';
    return [{ severity: 'error', code: 'NO_MEDIA', message }];
  }
  const findings: Problem[] = [];
  if (images === 0 && role === 'mask') {
    const advice = 'Upload a PNG, JPEG or WebP of the same name for each clip, which counts for all its frames.';
    const message = `The dataset has clips and no image, and no trainer reads a clip as a mask. ${advice}`;
    findings.push({ severity: 'error', code: 'NO_TRAINABLE_MEDIA', message });
  } else if (stored.every((file) => file.kind === 'caption' || isIgnored(file, role))) {
    const advice = 'Convert the images to JPEG, PNG or WebP and upload those.';
    const message = `The trainer reads none of the image types in this dataset. ${advice}`;
    findings.push({ severity: 'error', code: 'NO_TRAINABLE_MEDIA', message });
  }
  if (images > 0 && videos > 0 && role === 'training') {
    const message = `${plainCount(images, 'image')} and ${plainCount(videos, 'video')} are mixed: a training job for images ignores the videos.`;
    findings.push({ severity: 'warning', code: 'MIXED_MEDIA', message });
  }
  return role === 'training' ? [...findings, ...mixedSound(stored)] : findings;
}

/**
 * SimpleTuner leaves clips without sound out (`simpletuner/helpers/metadata/backends/discovery.py:590-613`), and so does LTX-2
 * (`packages/ltx-trainer/src/ltx_trainer/datasets.py:206-220`).
 */
function mixedSound(stored: readonly NamedFile[]): Warning[] {
  const silent = stored.filter(({ hasAudio }) => hasAudio === false).map(({ filename }) => filename);
  const sounding = stored.filter(({ hasAudio }) => hasAudio === true).length;
  if (silent.length === 0 || sounding === 0) return [];
  const counts = `${plainCount(silent.length, 'clip has', 'clips have')} no sound, and ${plainCount(sounding, 'has', 'have')}: ${listedNames(silent)}`;
  const advice = 'Give each a sound track, which may be silence, or train without sound.';
  const message = `${counts}. A run that learns sound leaves the clips without it out (LTX; SimpleTuner unless "allow_zero_audio" is set). ${advice}`;
  return [{ severity: 'warning', code: 'MIXED_SOUND', message }];
}

function isIgnored({ kind, filename }: NamedFile, role: Role): boolean {
  return mediaTypeOf(filename)?.trainable === false || (role === 'mask' && kind === 'video');
}

interface DatasetError {
  readonly code: ErrorProblemCode | 'UPLOAD_REJECTED';
  readonly message: string;
}

/** Why a dataset is FAILED, from its counts and links. @param errors all its errors, if known: a single one is the reason */
export function datasetErrorOf(
  dataset: Pick<Dataset, 'role' | 'counts' | 'links'>,
  errors: readonly ErrorProblem[] = [],
): DatasetError {
  const [only, ...others] = errors;
  if (only !== undefined && others.length === 0) return { code: only.code, message: only.message };
  const reasons = reasonsOf(dataset);
  if (reasons.length === 0) {
    return { code: 'LINKED_NOT_READY', message: 'A control or mask dataset of it is not READY. Repair that one.' };
  }
  return {
    code: reasons[0]?.code ?? 'INSPECTION_FAILED',
    message: `${reasons.map((reason) => reason.message).join('; ')}. Upload the missing and the rejected files again, or delete them.`,
  };
}

function reasonsOf({ role, counts, links }: Pick<Dataset, 'role' | 'counts' | 'links'>): DatasetError[] {
  const reasons: DatasetError[] = [];
  const add = (code: DatasetError['code'], message: string) => reasons.push({ code, message });
  if (counts.rejected > 0) {
    add('UPLOAD_REJECTED', `${plainCount(counts.rejected, 'file was', 'files were')} rejected because of the content`);
  }
  if (counts.pending > 0) {
    add('UPLOAD_EXPIRED', `${plainCount(counts.pending, 'upload was', 'uploads were')} not completed in time`);
  }
  if (counts.collisions > 0) {
    add('NAME_COLLISION', `${plainCount(counts.collisions, 'file')} would overwrite another when mounted`);
  }
  if (counts.images + counts.videos === 0) {
    if (counts.captions > 0) add('NO_MEDIA', 'the dataset has no image or video');
  } else if (counts.trainable === 0) {
    const what = role === 'mask' ? 'no file is an image' : 'no image is';
    add('NO_TRAINABLE_MEDIA', `${what} of a type that the trainer reads (JPEG, PNG, WebP)`);
  }
  if (counts.uncaptioned > 0) {
    add(
      'MISSING_CAPTION',
      `${plainCount(counts.uncaptioned, 'image or video has', 'images or videos have')} no caption`,
    );
  }
  if (counts.unpaired > 0) {
    const isMask = links.every(({ slot }) => slot === 'mask');
    const isEither = !isMask && links.some(({ slot }) => slot === 'mask');
    const [one, many] = isEither
      ? ['control or mask', 'controls or masks']
      : isMask
        ? ['mask', 'masks']
        : ['control', 'controls'];
    const code = isMask ? 'MISSING_MASK' : 'MISSING_CONTROL';
    add(code, `${plainCount(counts.unpaired, `${one} is`, `${many} are`)} missing or not usable`);
  }
  return reasons;
}
