import { constants } from 'node:fs';
import { access, lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ServiceError } from '../../dataset/errors.js';
import { fixCaption, MAX_FIXED_CAPTION_BYTES } from '../../dataset/fix/fix-caption.js';
import { nameForFormat, TakenNames } from '../../dataset/fix/media-names.js';
import { parseFilename } from '../../dataset/names.js';
import { examineInProcess, NotConverted } from '../../service/inspection/image-conversion.js';
import type { InspectionPool } from '../../service/inspection/inspection-pool.js';
import type { InspectedFile } from '../folder/inspect-files.js';
import type { LocalFile } from '../folder/read-folder.js';
import { errorMessage, printable } from '../terminal/text.js';

/** Why a file is left as it is, as the rest of a sentence that begins with its name. */
export class FileLeftAlone extends Error {
  override readonly name = 'FileLeftAlone';
}

export interface Fix {
  readonly kind: 'rewrite' | 'rename' | 'convert';
  readonly file: LocalFile;
  /** The real path of the folder that contains the file, and the file's name in it. */
  readonly folder: string;
  readonly name: string;
  /** The name afterwards; a caption keeps its name. */
  readonly to: string;
  /** A sentence without its end: `cat.jpg → cat.png: it is a PNG image`. */
  readonly message: string;
}

export interface NotFixed {
  readonly filename: string;
  readonly message: string;
}

/** Findings that a change of the file's encoding, name or format can remove. */
const CAPTION_CODES = new Set(['CAPTION_NOT_UTF8', 'CAPTION_HAS_NUL', 'CAPTION_BOM']);
const MEDIA_CODES = new Set(['NOT_AN_IMAGE', 'NOT_A_VIDEO', 'CONTENT_DIFFERS', 'NOT_TRAINED_ON']);

/** Finds the files that can be fixed without guessing. @throws the signal's reason */
export async function planFixes(
  inspected: readonly InspectedFile[],
  { pool, signal }: { pool: InspectionPool; signal: AbortSignal },
): Promise<{ fixes: readonly Fix[]; notFixed: readonly NotFixed[] }> {
  const fixes: Fix[] = [];
  const notFixed: NotFixed[] = [];
  const folders = new Map<string, Folder>();
  for (const { file, inspection } of inspected) {
    const codes = inspection.ok ? inspection.warnings.map(({ code }) => code) : [inspection.problem.code];
    const isCaption = codes.some((code) => CAPTION_CODES.has(code));
    if (!isCaption && !codes.some((code) => MEDIA_CODES.has(code))) continue;
    try {
      const folder = folders.get(dirname(file.path)) ?? (await readNames(dirname(file.path)));
      folders.set(dirname(file.path), folder);
      await requireChangeable(file);
      const fix = isCaption ? await captionFix(file, folder) : await mediaFix(file, folder, { pool, signal });
      if (fix !== undefined) fixes.push(fix);
    } catch (error) {
      signal.throwIfAborted();
      notFixed.push(notFixedBecause(file.filename, error));
    }
  }
  return { fixes, notFixed };
}

async function readNames(folder: string) {
  const path = await realpath(folder);
  return { path, names: new TakenNames(await readdir(path)) };
}

type Folder = Awaited<ReturnType<typeof readNames>>;

export function notFixedBecause(filename: string, error: unknown): NotFixed {
  const isExplained = error instanceof FileLeftAlone || error instanceof NotConverted;
  const reason = isExplained ? error.message : `can't be fixed: ${errorMessage(error)}`;
  return { filename, message: `${printable(filename)} ${reason.replace(/\.?$/, '.')}` };
}

/** @throws FileLeftAlone for a link, or a file or folder that is read-only */
async function requireChangeable({ path }: LocalFile): Promise<void> {
  const stats = await lstat(path);
  if (stats.isSymbolicLink()) throw new FileLeftAlone('is a link, and is left alone. Fix the file that it leads to');
  // For root, `access` allows everything.
  const isWritable = (stats.mode & 0o222) !== 0 && (await access(path, constants.W_OK).then(() => true, no));
  if (!isWritable) throw new FileLeftAlone('is read-only, and is left alone. Make it writable first');
  if (!(await access(dirname(path), constants.W_OK).then(() => true, no))) {
    throw new FileLeftAlone("is in a folder that can't be written");
  }
}

const no = () => false;

async function captionFix(file: LocalFile, folder: Folder): Promise<Fix> {
  const name = basename(file.path);
  if (file.sizeBytes > MAX_FIXED_CAPTION_BYTES) throw new FileLeftAlone('is too long to be a caption');
  const fixed = fixCaption(await readFile(file.path));
  if (!fixed.ok) throw new FileLeftAlone(fixed.reason);
  return { kind: 'rewrite', file, folder: folder.path, name, to: name, message: `${printable(name)}: ${fixed.change}` };
}

/** `undefined` if the content is no image or video, so that a change of name or format would not help. */
async function mediaFix(
  file: LocalFile,
  folder: Folder,
  { pool, signal }: { pool: InspectionPool; signal: AbortSignal },
): Promise<Fix | undefined> {
  const content = await examineInProcess(pool, file, signal);
  if (content.kind === 'other') return undefined;
  if (content.whyNotConverted !== undefined) throw new FileLeftAlone(content.whyNotConverted);
  const name = basename(file.path);
  const isConverted = !content.isTrainable;
  const to = nameForFormat(name, isConverted ? 'png' : content.format);
  requireName(to);
  const taken = folder.names.claim(to, { from: name, isConverted });
  if (taken !== undefined && !(await isOneFile(file.path, join(folder.path, to)))) throw new FileLeftAlone(taken);
  if (!isConverted) {
    const under = { filename: to.normalize('NFC'), path: file.path, sizeBytes: file.sizeBytes };
    const renamed = await pool.inspect(under, { accountId: '', signal });
    if (!renamed.ok)
      throw new FileLeftAlone(`is ${content.description} that can't be used: ${renamed.problem.message}`);
  }
  const why = isConverted ? ', which the trainer does not read; a PNG keeps every pixel' : '';
  const message = `${printable(name)} → ${printable(to)}: it is ${content.description}${why}`;
  return { kind: isConverted ? 'convert' : 'rename', file, folder: folder.path, name, to, message };
}

/** As after an interrupted rename, which gives the new name before it removes the old one. */
export async function isOneFile(path: string, other: string): Promise<boolean> {
  const [one, two] = await Promise.all([path, other].map((each) => lstat(each).catch(() => undefined)));
  return one !== undefined && one.ino === two?.ino && one.dev === two.dev;
}

function requireName(name: string): void {
  try {
    parseFilename(name);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new FileLeftAlone(`can't be renamed. ${error.message}`);
  }
}
