import { ServiceError } from './errors.js';
import { isDatasetFile, MEDIA, mediaTypeOf } from './media.js';

/** In UTF-16 code units. Normalization takes quadratic time, and no form of a valid name is nearly as long. */
export const MAX_RAW_NAME_LENGTH = 1024;

const MAX_FILENAME_BYTES = 255;

/** In UTF-16 code units: decomposed, the two bytes of U+0390 are three. */
const MAX_FILENAME_LENGTH = 1.5 * MAX_FILENAME_BYTES;

/**
 * Invisible characters that reorder or break text: `photo[U+202E]gpj.exe` is shown as `photoexe.jpg`
 * (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
 */
const REORDERING = /[\u202A-\u202E\u2066-\u206F\u2028\u2029\uFFF9-\uFFFB]/g;

/** https://learn.microsoft.com/windows/win32/fileio/naming-a-file#naming-conventions */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)/i;

const MAX_DATASET_NAME_BYTES = 128;

/**
 * Returns a filename in NFC, so that `é.jpg` and `é.txt` of two systems are a pair.
 *
 * @throws ServiceError `invalid_name` unless it is one path component of 1 to 255 UTF-8 bytes; `unsupported_type`
 */
export function parseFilename(raw: string): string {
  const fault = filenameFault(raw);
  if (fault !== undefined) {
    throw new ServiceError('invalid_name', `The filename ${quote(raw)} ${fault}. Rename the file and upload it again.`);
  }
  const filename = raw.normalize('NFC');
  if (isDatasetFile(filename)) {
    const message = `${quote(raw)} describes a whole dataset and is left out: a caption has the name of its image or clip.`;
    throw new ServiceError('unsupported_type', message);
  }
  if (mediaTypeOf(filename) === undefined) {
    throw new ServiceError(
      'unsupported_type',
      `${quote(raw)} is not an image, video or caption by its extension. Accepted extensions: ${Object.keys(MEDIA).join(' ')}`,
    );
  }
  return filename;
}

const MAX_GROUP_NAME_BYTES = 128;

/** Returns the name of a group trimmed and in NFC; `10_` and it name a folder. @throws ServiceError `invalid_name` */
export function parseGroupName(raw: string): string {
  const name = normalizedFilename(raw).trim();
  const bytes = new TextEncoder().encode(name).length;
  const fault =
    filenameFault(name) ??
    (bytes > MAX_GROUP_NAME_BYTES ? `is ${bytes} bytes long; at most ${MAX_GROUP_NAME_BYTES} fit` : undefined) ??
    // Windows drops it from a folder's name.
    (name.endsWith('.') ? 'ends with a dot' : undefined);
  if (fault === undefined) return name;
  throw new ServiceError('invalid_name', `The name ${quote(raw)} of the group ${fault}. Choose another name.`);
}

/** In NFC, unless it is too long for a filename: normalizing that would take a millisecond. */
export function normalizedFilename(raw: string): string {
  return raw.length > MAX_FILENAME_LENGTH ? raw : raw.normalize('NFC');
}

/** What is wrong with the name of a file, as the end of a sentence; `undefined` if a dataset can have it. */
export function filenameFault(raw: string): string | undefined {
  if (raw === '') return 'is empty';
  if (raw.length > MAX_FILENAME_LENGTH) return `is too long; at most ${MAX_FILENAME_BYTES} bytes fit`;
  if (/[/\\]/.test(raw)) return 'contains a slash or backslash; a dataset is one flat folder';
  if (/\p{Cc}/u.test(raw)) return 'contains a control character';
  if (/\p{Surrogate}/u.test(raw)) return 'is not valid Unicode';
  // Names that differ in such bytes would replace each other.
  if (raw.includes('\ufffd')) return 'has bytes that are not UTF-8, in place of which U+FFFD stands';
  const reordering = raw.match(REORDERING)?.[0];
  if (reordering !== undefined) return `contains ${codePointOf(reordering)}, which changes how text is shown`;
  if (WINDOWS_DEVICE.test(raw)) return 'is the name of a device on Windows, where no file can have it';
  if (raw.startsWith('.')) return 'begins with a dot, and the trainer skips such files';
  const bytes = new TextEncoder().encode(raw.normalize('NFC')).length;
  if (bytes > MAX_FILENAME_BYTES) return `is ${bytes} bytes long; at most ${MAX_FILENAME_BYTES} fit`;
  return undefined;
}

function codePointOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

const TOO_LONG = `is too long; at most ${MAX_DATASET_NAME_BYTES} bytes fit`;

/** Returns a name trimmed and in NFC; it becomes a folder's name. @throws ServiceError `invalid_name` */
export function parseDatasetName(raw: string): string {
  const name = raw.slice(0, MAX_RAW_NAME_LENGTH).trim().normalize('NFC');
  const fault = raw.length > MAX_RAW_NAME_LENGTH ? TOO_LONG : datasetNameFault(name);
  if (fault !== undefined) {
    const advice = 'Use letters, digits, spaces and . _ - only.';
    throw new ServiceError('invalid_name', `The dataset name ${quote(raw)} ${fault}. ${advice}`);
  }
  return name;
}

function datasetNameFault(name: string): string | undefined {
  if (name === '') return 'is empty';
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > MAX_DATASET_NAME_BYTES) return `is ${bytes} bytes long; at most ${MAX_DATASET_NAME_BYTES} fit`;
  if (name.startsWith('.')) return 'begins with a dot';
  // Combining marks are parts of letters, as in Hindi and Thai.
  const forbidden = /[^\p{L}\p{M}\p{Nd} ._-]/u.exec(name)?.[0];
  return forbidden === undefined ? undefined : `contains ${quote(forbidden)}`;
}

/** Escaped, and cut to 80 characters. */
function quote(raw: string): string {
  const short = raw.length > 80 ? `${raw.slice(0, 77)}…` : raw;
  return JSON.stringify(short).replaceAll(
    REORDERING,
    (character) => `\\u${codePointOf(character).slice(2).toLowerCase()}`,
  );
}

/** Compares UTF-16 code units; entries without a filename come first. */
export function byFilename(
  { filename: a = '' }: { readonly filename?: string | undefined },
  { filename: b = '' }: { readonly filename?: string | undefined },
): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
