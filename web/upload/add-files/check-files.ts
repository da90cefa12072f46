import type { PushFile } from '../../../src/client/client.js';
import { mediaTypeOf } from '../../../src/dataset/media.js';
import { parseFilename } from '../../../src/dataset/names.js';
import { countOf, messageOf } from '../../ui/format.js';
import type { DroppedFile } from './dropped-files.js';

/** What can be said of files before a byte of them is sent. */
export interface CheckedFiles {
  readonly files: readonly PushFile[];
  readonly rejected: readonly RejectedFile[];
  /** How many are a system's own, such as `.DS_Store`, which nobody meant to bring. */
  readonly hidden: number;
}

export interface RejectedFile {
  readonly path: string;
  readonly reason: string;
}

/** Checked between two rests for the page. */
const FILES_PER_TASK = 250;

const SYSTEM_FILES = new Set(['thumbs.db', 'ehthumbs.db', 'desktop.ini', '__macosx']);

/** By the service's own rules, so that what is rejected here would be rejected there, and only that. */
export async function checkFiles(brought: readonly DroppedFile[]): Promise<CheckedFiles> {
  const namesakes = new Map<string, { path: string; file: File }[]>();
  const files: PushFile[] = [];
  const rejected: RejectedFile[] = [];
  let hidden = 0;
  for (const [index, { path, file }] of brought.entries()) {
    if (index % FILES_PER_TASK === FILES_PER_TASK - 1) await new Promise((resolve) => setTimeout(resolve));
    if (isHidden(path)) {
      hidden++;
      continue;
    }
    try {
      const name = nameOf(path, file);
      namesakes.set(name, [...(namesakes.get(name) ?? []), { path, file: file! }]);
    } catch (error) {
      rejected.push({ path, reason: messageOf(error) });
    }
  }
  for (const [name, [first, ...others]] of namesakes) {
    if (others.length === 0) files.push(pushFileOf(name, first!.file));
    else
      for (const { path } of [first!, ...others]) rejected.push({ path, reason: collision(name, others.length + 1) });
  }
  return { files, rejected, hidden };
}

/** @throws Error that says why it can't be in a dataset */
function nameOf(path: string, file: File | undefined): string {
  const name = parseFilename(path.slice(path.lastIndexOf('/') + 1));
  if (file === undefined) throw new Error('Your browser could not read it.');
  if (file.size === 0 && mediaTypeOf(name)?.kind !== 'caption') {
    throw new Error('It is empty. Copy it again from where it came from.');
  }
  return name;
}

function isHidden(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.') || SYSTEM_FILES.has(part.toLowerCase()));
}

function collision(name: string, count: number): string {
  return `${countOf(count, 'file')} would be ${name} in the dataset, which is one flat folder. Rename all but one of them.`;
}

function pushFileOf(name: string, file: File): PushFile {
  const open = async () => {
    // A browser refuses to read what has changed on disk, but says of a request with it only that it failed.
    await file.slice(0, 1).arrayBuffer();
    return file;
  };
  return {
    name,
    size: file.size,
    open: () =>
      open().catch(() => {
        throw new Error(`${name} has changed or gone away since it was chosen. Bring it again.`);
      }),
  };
}
