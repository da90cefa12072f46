import { mediaTypeOf } from '../../../src/dataset/media.js';
import { parseFilename } from '../../../src/dataset/names.js';
import { groupedBy } from '../../grouped-by.js';
import { countOf, messageOf } from '../../ui/format.js';
import type { QueuedFile } from '../queue/queued-file.js';
import type { DroppedFile } from './dropped-files.js';

/** The result of checking files before an upload. */
export interface CheckedFiles {
  readonly files: readonly QueuedFile[];
  readonly rejected: readonly RejectedFile[];
  /** Number of files that an operating system made, such as `.DS_Store`. */
  readonly hidden: number;
}

/** A file that a dataset accepts, under its own name, and where it comes from. */
export interface Candidate {
  /** Within what was dropped, such as `evening/extra`; `''` for a single file. */
  readonly folder: string;
  readonly file: QueuedFile;
  /** When its bytes were changed last, in milliseconds since 1970. */
  readonly modified: number;
}

export interface RejectedFile {
  readonly path: string;
  readonly reason: string;
}

/** The check yields to the page after this many files. */
const FILES_PER_TASK = 250;

const SYSTEM_FILES = new Set(['thumbs.db', 'ehthumbs.db', 'desktop.ini', '__macosx']);

/**
 * Applies the service's own rules, so that it rejects the files that the service would reject, and no others. The files are as for
 * an empty dataset.
 */
export async function readCandidates(
  dropped: readonly DroppedFile[],
): Promise<Omit<CheckedFiles, 'files'> & { readonly candidates: readonly Candidate[] }> {
  const candidates: Candidate[] = [];
  const rejected: RejectedFile[] = [];
  let hidden = 0;
  for (const [index, { path, file, replaces }] of dropped.entries()) {
    if (index % FILES_PER_TASK === FILES_PER_TASK - 1) await new Promise((resolve) => setTimeout(resolve));
    if (isHiddenPath(path)) {
      hidden++;
      continue;
    }
    try {
      const name = parseName(path, file);
      const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
      const queued = { ...queuedFileOf(name, file!), ...(replaces && { replaces }) };
      candidates.push({ folder, file: queued, modified: file!.lastModified });
    } catch (error) {
      rejected.push({ path, reason: messageOf(error) });
    }
  }
  return { candidates, rejected, hidden };
}

/** As `readCandidates`, for files whose names pair them with other folders, so that none of them may be renamed. */
export async function checkFiles(dropped: readonly DroppedFile[]): Promise<CheckedFiles> {
  const { candidates, rejected, hidden } = await readCandidates(dropped);
  const groups = [...groupedBy(candidates, ({ file }) => file.name)];
  return {
    files: groups.flatMap(([, group]) => (group.length === 1 ? group.map(({ file }) => file) : [])),
    rejected: [
      ...rejected,
      ...groups.flatMap(([name, group]) =>
        group.length === 1
          ? []
          : group.map(({ folder }) => ({
              path: [folder, name].filter(Boolean).join('/'),
              reason: collisionMessage(name, group.length),
            })),
      ),
    ],
    hidden,
  };
}

/** @throws Error with the reason why the file can't be in a dataset */
function parseName(path: string, file: File | undefined): string {
  const name = parseFilename(path.slice(path.lastIndexOf('/') + 1));
  if (file === undefined) throw new Error('Your browser could not read it.');
  if (file.size === 0 && mediaTypeOf(name)?.kind !== 'caption') {
    throw new Error('It is empty. Copy it again from its source.');
  }
  return name;
}

/** Whether an operating system made the file, such as `.DS_Store`, or hides it. */
export function isHiddenPath(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.') || SYSTEM_FILES.has(part.toLowerCase()));
}

function collisionMessage(name: string, count: number): string {
  return `${countOf(count, 'file')} would be named ${name}, because a dataset has no folders. Rename all but one of them.`;
}

/** A file to upload under a name that no file of the dataset has. */
export function queuedFileOf(name: string, file: File): QueuedFile {
  const open = async () => {
    // Fails if the file changed on disk. Without this read, the request would fail without a reason.
    await file.slice(0, 1).arrayBuffer();
    return file;
  };
  return {
    name,
    size: file.size,
    etag: null,
    open: () =>
      open().catch(() => {
        throw new Error(`${name} was changed, moved or deleted after you chose it. Choose it again.`);
      }),
  };
}
