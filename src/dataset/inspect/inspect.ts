import { jsonFaultIn } from '../json-fault.js';
import { extensionOf, isStructuredCaption, MEDIA, mediaTypeOf } from '../media.js';
import { type ErrorProblemCode, errorIn, FIX_ADVICE, type Warning, warningIn } from '../problems.js';
import { FileBytes } from './byte-source.js';
import { doubtsAbout, readCaption } from './inspect-caption.js';
import type { FileToInspect, Inspect, Inspection, InspectOptions, PixelDecoder, ReadClipFacts } from './inspection.js';
import {
  formatCount,
  InspectionError,
  isInputOutputError,
  isOutOfMemory,
  StructureError,
  shortReason,
} from './inspection-error.js';

const MAX_SHOWN_CHARACTERS = 80;

/** It is parsed as a whole. */
const MAX_STRUCTURED_BYTES = 1_000_000;

/**
 * Proves in bounded memory that a file is complete and of its extension's type. Bad bytes are a result.
 *
 * @throws the system's errors and failed allocations only
 */
export const inspect: Inspect = (file) => inspectWith(file, { loadDecoder, readClipFacts });

/** Loaded on first use, since few systems have no ffmpeg. */
export const readClipFacts: ReadClipFacts = async (file) =>
  (await loaded(import('./video/read-facts.js'))).readWithMediabunny(file);

/** Megabytes of code, which captions and clips do not need. */
export const loadDecoder = (): Promise<PixelDecoder> => loaded(import('./image/decode.js'));

export async function inspectWith(
  { path, filename }: Parameters<Inspect>[0],
  options: InspectOptions,
): Promise<Inspection> {
  const named: FileToInspect = { ...options, path, filename, shown: shownFilename(filename) };
  const file = FileBytes.open(path);
  try {
    return await inspectByKind(file, named);
  } catch (error) {
    if (isInputOutputError(error) || isOutOfMemory(error)) throw error;
    const { code, message } = problemOf(error, filename);
    return { ok: false, problem: errorIn(filename, code, `${named.shown} ${message}`) };
  } finally {
    file.close();
  }
}

async function inspectByKind(file: FileBytes, named: FileToInspect): Promise<Inspection> {
  const kind = mediaTypeOf(named.filename)?.kind;
  if (kind === 'caption') return inspectCaption(file, named);
  if (file.size === 0) {
    throw new InspectionError('FILE_EMPTY', 'is empty: it has no bytes. Check the original and upload it again.');
  }
  const { detectContent } = await loaded(import('./detect-content.js'));
  const content = await detectContent(file);
  if (kind === 'video') return (await loaded(import('./video/inspect-video.js'))).inspectVideo(file, named, content);
  return (await loaded(import('./image/inspect-image.js'))).inspectImage(file, named, content);
}

/** Missing or replaced code is not the file's fault. */
async function loaded<T>(module: Promise<T>): Promise<T> {
  try {
    return await module;
  } catch (cause) {
    const message = 'the code that inspects this file is not installed';
    throw Object.assign(new Error(message, { cause }), { code: 'ERR_MODULE_NOT_FOUND' });
  }
}

function inspectCaption(file: FileBytes, { filename, shown }: FileToInspect): Inspection {
  const isStructured = isStructuredCaption(filename);
  if (isStructured && file.size > MAX_STRUCTURED_BYTES) {
    const limit = `more than ${formatCount(MAX_STRUCTURED_BYTES)} bytes, and no caption is so long`;
    throw new InspectionError('CAPTION_NOT_JSON', `has ${limit}. Upload the caption of this one image or clip.`);
  }
  const { characters, bom, blank, beginning } = readCaption(file);
  const warnings: Warning[] = [];
  if (bom) {
    const message = `${shown} begins with a byte order mark, which becomes part of the prompt. Save it as UTF-8 without one. ${FIX_ADVICE}`;
    warnings.push(warningIn(filename, 'CAPTION_BOM', message));
  }
  const fault = isStructured ? jsonFaultIn(file.copy(bom ? 3 : 0, file.size).toString()) : undefined;
  if (fault !== undefined) {
    const place = `line ${formatCount(fault.line)}, column ${formatCount(fault.column)}`;
    const message = `is not valid JSON: ${place}: ${fault.message}. Correct it and upload it again.`;
    throw new InspectionError('CAPTION_NOT_JSON', message);
  }
  if (blank) {
    const message = `${shown} is blank, so its image or video trains without a caption. Write one, unless that is intended.`;
    warnings.push(warningIn(filename, 'BLANK_CAPTION', message));
  }
  warnings.push(...doubtsAbout(beginning, { filename, shown }));
  const { contentType } = MEDIA[isStructured ? '.json' : '.txt'];
  const facts = { kind: 'caption', ...(isStructured && { format: 'json' as const }), characters } as const;
  return { ok: true, contentType, facts, warnings };
}

/** Parsing libraries throw exceptions of any class for bad bytes. */
function problemOf(error: unknown, filename: string): { code: ErrorProblemCode; message: string } {
  if (error instanceof InspectionError) return { code: error.code, message: error.message };
  const code = CORRUPT[mediaTypeOf(filename)?.kind ?? 'caption'];
  if (error instanceof StructureError) return { code, message: `${error.message}. Upload an intact copy.` };
  const reason = shortReason(error);
  return { code, message: `could not be read as ${extensionOf(filename)} (${reason}). Upload an intact copy.` };
}

const CORRUPT = { image: 'IMAGE_CORRUPT', video: 'VIDEO_CORRUPT', caption: 'INSPECTION_FAILED' } as const;

/** For messages; long names are shortened. */
export function shownFilename(filename: string): string {
  const characters = [...filename];
  if (characters.length <= MAX_SHOWN_CHARACTERS) return filename;
  return `${characters.slice(0, 48).join('')}…${characters.slice(-28).join('')}`;
}
