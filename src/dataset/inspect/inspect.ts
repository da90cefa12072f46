import { extensionOf, mediaTypeOf } from '../media.js';
import { type ErrorProblemCode, errorIn, type Warning, warningIn } from '../problems.js';
import { FileBytes } from './byte-source.js';
import { readCaption } from './inspect-caption.js';
import type { Inspect, Inspection } from './inspection.js';
import { InspectionError, isInputOutputError, StructureError, shortReason } from './inspection-error.js';
import { remoteByteSource } from './remote-bytes.js';

const MOST_SHOWN = 80;

interface Named {
  /** Absent where the file lies elsewhere. */
  readonly path: string | undefined;
  readonly filename: string;
  /** The filename as it stands in messages: shortened where it would crowd out the reason. */
  readonly shown: string;
}

/**
 * Proves that a file is what its extension claims and that all of it is there. Memory stays bounded whatever the file
 * claims. `filename` has been through `parseFilename`.
 *
 * @throws only the operating system's errors: bad bytes are a result, not an exception.
 */
export const inspect: Inspect = async ({ filename, ...at }) => {
  const path = 'path' in at ? at.path : undefined;
  const named: Named = { path, filename, shown: shown(filename) };
  const file = 'path' in at ? FileBytes.open(at.path) : FileBytes.over(remoteByteSource(at.remote));
  try {
    return await look(file, named);
  } catch (error) {
    if (isInputOutputError(error)) throw error;
    const { code, message } = verdict(error, filename);
    return { ok: false, problem: errorIn(filename, code, `${named.shown} ${message}`) };
  } finally {
    file.close();
  }
};

async function look(file: FileBytes, named: Named): Promise<Inspection> {
  const kind = mediaTypeOf(named.filename)?.kind;
  if (kind === 'caption') return inspectCaption(file, named);
  if (file.size === 0) {
    throw new InspectionError(
      'FILE_EMPTY',
      'is empty: it has no bytes at all. Check the original and upload it again.',
    );
  }
  // Loaded when they are first needed: a decoder is megabytes of code, and a caption or a clip needs none of it.
  const { detectContent } = await import('./detect-content.js');
  const content = await detectContent(file);
  if (kind === 'video') return (await import('./video/inspect-video.js')).inspectVideo(file, named, content);
  return (await import('./image/inspect-image.js')).inspectImage(file, named, content);
}

function inspectCaption(file: FileBytes, { filename, shown }: Named): Inspection {
  const { characters, bom, blank } = readCaption(file);
  const warnings: Warning[] = [];
  if (bom) {
    const advice = 'Save it as UTF-8 without one.';
    warnings.push(
      warningIn(
        filename,
        'CAPTION_BOM',
        `${shown} begins with a byte order mark that ends up in the prompt. ${advice}`,
      ),
    );
  }
  if (blank) {
    const advice = 'Write what the picture shows, or leave it so if that is meant.';
    warnings.push(warningIn(filename, 'BLANK_CAPTION', `${shown} is blank, so it trains without a caption. ${advice}`));
  }
  return {
    ok: true,
    contentType: 'text/plain; charset=utf-8',
    facts: { kind: 'caption', characters },
    warnings,
  };
}

/** What an exception says of the file. Whatever a library throws on its bytes is the file's fault, not ours. */
function verdict(error: unknown, filename: string): { code: ErrorProblemCode; message: string } {
  if (error instanceof InspectionError) return { code: error.code, message: error.message };
  const code = CORRUPT[mediaTypeOf(filename)?.kind ?? 'caption'];
  if (error instanceof StructureError) return { code, message: `${error.message}. Upload an intact copy.` };
  const reason = shortReason(error);
  return { code, message: `could not be read as ${extensionOf(filename)} (${reason}). Upload an intact copy.` };
}

const CORRUPT = {
  image: 'IMAGE_CORRUPT',
  video: 'VIDEO_CORRUPT',
  caption: 'INSPECTION_FAILED',
} as const satisfies Record<string, ErrorProblemCode>;

function shown(filename: string): string {
  const characters = [...filename];
  if (characters.length <= MOST_SHOWN) return filename;
  return `${characters.slice(0, 48).join('')}…${characters.slice(-28).join('')}`;
}
