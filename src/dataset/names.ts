import { ServiceError } from './errors.js';
import { MEDIA, mediaTypeOf } from './media.js';

const MAX_FILENAME_BYTES = 255;
const MAX_DATASET_NAME_BYTES = 128;

/**
 * The filename as it is stored: in NFC, so that `é.jpg` from one system and `é.txt` from another are a pair.
 *
 * @throws ServiceError `invalid_name` where it is not one path component of 1 to 255 UTF-8 bytes; `unsupported_type`
 * where its extension is not in the table of media types.
 */
export function parseFilename(raw: string): string {
  const fault = filenameFault(raw);
  if (fault !== undefined) {
    throw new ServiceError('invalid_name', `The filename ${quote(raw)} ${fault}. Rename the file and upload it again.`);
  }
  const filename = raw.normalize('NFC');
  if (mediaTypeOf(filename) === undefined) {
    throw new ServiceError(
      'unsupported_type',
      `${quote(raw)} is not an image, video or caption by its extension. Accepted extensions: ${Object.keys(MEDIA).join(' ')}`,
    );
  }
  return filename;
}

function filenameFault(raw: string): string | undefined {
  if (raw === '') return 'is empty';
  if (/[/\\]/.test(raw)) return 'contains a slash or backslash; a dataset is one flat folder';
  if (/\p{Cc}/u.test(raw)) return 'contains a control character';
  if (/\p{Surrogate}/u.test(raw)) return 'is not valid Unicode';
  if (raw.startsWith('.')) return 'begins with a dot, and the trainer skips such files';
  const bytes = new TextEncoder().encode(raw.normalize('NFC')).length;
  if (bytes > MAX_FILENAME_BYTES) return `is ${bytes} bytes long; at most ${MAX_FILENAME_BYTES} fit`;
  return undefined;
}

/**
 * A dataset's name, trimmed and in NFC. It becomes a folder name when the dataset is mounted.
 *
 * @throws ServiceError `invalid_name` with the reason.
 */
export function parseDatasetName(raw: string): string {
  const name = raw.trim().normalize('NFC');
  const bytes = new TextEncoder().encode(name).length;
  const fault =
    name === ''
      ? 'is empty'
      : bytes > MAX_DATASET_NAME_BYTES
        ? `is ${bytes} bytes long; at most ${MAX_DATASET_NAME_BYTES} fit`
        : name.startsWith('.')
          ? 'begins with a dot'
          : forbiddenCharacter(name);
  if (fault !== undefined) {
    throw new ServiceError(
      'invalid_name',
      `The dataset name ${quote(raw)} ${fault}. Use letters, digits, spaces and . _ - only.`,
    );
  }
  return name;
}

function forbiddenCharacter(name: string): string | undefined {
  // Combining marks are parts of letters in Hindi and Thai, for instance.
  const found = /[^\p{L}\p{M}\p{Nd} ._-]/u.exec(name)?.[0];
  return found === undefined ? undefined : `contains ${quote(found)}`;
}

/** A name as messages have it: quoted, escaped, and cut to 80 characters. */
function quote(raw: string): string {
  return JSON.stringify(raw.length > 80 ? `${raw.slice(0, 77)}…` : raw);
}
