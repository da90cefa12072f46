import { mediaTypeOf } from '../../../src/dataset/media.js';
import { parseFilename } from '../../../src/dataset/names.js';
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

export interface RejectedFile {
  readonly path: string;
  readonly reason: string;
}

type ReadableFile = DroppedFile & { readonly file: File };

/** The check yields to the page after this many files. */
const FILES_PER_TASK = 250;

const SYSTEM_FILES = new Set(['thumbs.db', 'ehthumbs.db', 'desktop.ini', '__macosx']);

/**
 * Applies the service's own rules, so that it rejects the files that the service would reject, and no others. The files are as for
 * an empty dataset.
 */
export async function checkFiles(dropped: readonly DroppedFile[]): Promise<CheckedFiles> {
  const filesByName = new Map<string, ReadableFile[]>();
  const files: QueuedFile[] = [];
  const rejected: RejectedFile[] = [];
  let hidden = 0;
  for (const [index, { path, file, ...rest }] of dropped.entries()) {
    if (index % FILES_PER_TASK === FILES_PER_TASK - 1) await new Promise((resolve) => setTimeout(resolve));
    if (isHiddenPath(path)) {
      hidden++;
      continue;
    }
    try {
      const name = parseName(path, file);
      filesByName.set(name, [...(filesByName.get(name) ?? []), { path, file: file!, ...rest }]);
    } catch (error) {
      rejected.push({ path, reason: messageOf(error) });
    }
  }
  for (const [name, [first, ...others]] of filesByName) {
    if (others.length === 0) files.push(queuedFileOf(name, first!));
    else {
      const reason = collisionMessage(name, others.length + 1);
      for (const { path } of [first!, ...others]) rejected.push({ path, reason });
    }
  }
  return { files, rejected, hidden };
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

function queuedFileOf(name: string, { file, replaces }: ReadableFile): QueuedFile {
  const open = async () => {
    // Fails if the file changed on disk. Without this read, the request would fail without a reason.
    await file.slice(0, 1).arrayBuffer();
    return file;
  };
  return {
    name,
    size: file.size,
    etag: null,
    ...(replaces && { replaces }),
    open: () =>
      open().catch(() => {
        throw new Error(`${name} was changed, moved or deleted after you chose it. Choose it again.`);
      }),
  };
}
