import { flattened } from '../../../src/dataset/import/flatten.js';
import { type ImportEntry, surveyEntries } from '../../../src/dataset/import/survey.js';
import { groupedBy } from '../../../src/dataset/grouped-by.js';
import { countOf, messageOf } from '../../ui/format.js';
import type { QueuedFile } from '../queue/queued-file.js';
import type { DroppedFile } from './dropped-files.js';

/** A file that a dataset accepts, under its own name, and where it comes from. */
export interface Candidate {
  /** Within what was dropped, such as `evening/extra`; `''` for a single file. */
  readonly folder: string;
  readonly name: string;
  readonly file: QueuedFile;
  /** Under the name that keeps it apart from others of its name that were dropped with it. */
  readonly flat: QueuedFile;
  /** When its bytes were changed last, in milliseconds since 1970. */
  readonly modified: number;
}

/**
 * Applies the service's own rules, so that it rejects the files that the service would reject, and no others. The files are as for
 * an empty dataset.
 *
 * @param options as of `surveyEntries`
 */
export async function readCandidates(
  dropped: readonly DroppedFile[],
  options: Parameters<typeof surveyEntries>[1] = {},
) {
  const { files, skipped, ...survey } = await surveyEntries(dropped.map(entryOf), options);
  const found = files.map(({ folder, name, content, modified }) => {
    const file = 'entry' in content ? queuedEntry(name, content.entry.dropped) : queuedText(name, content.text);
    return { folder, name, file, modified };
  });
  const flatNames = new Map(flattened(found).map(({ file, name }) => [file, name]));
  return {
    ...survey,
    candidates: found.map((each): Candidate => ({ ...each, flat: { ...each.file, name: flatNames.get(each.file)! } })),
    rejected: skipped.filter(({ code }) => code !== 'HIDDEN'),
    /** Number of files that an operating system or a trainer made, such as `.DS_Store`. */
    hidden: skipped.filter(({ code }) => code === 'HIDDEN').length,
  };
}

function entryOf(dropped: DroppedFile): ImportEntry & { readonly dropped: DroppedFile } {
  const { path, file, packed, fault } = dropped;
  if (packed !== undefined) return { ...packed, path, dropped };
  return {
    path,
    sizeBytes: file?.size ?? 0,
    modified: file?.lastModified ?? 0,
    fault: fault ?? (file === undefined ? 'Your browser could not read it.' : undefined),
    bytes: async () => new Uint8Array(await file!.arrayBuffer()),
    dropped,
  };
}

function queuedEntry(name: string, { file, packed, replaces }: DroppedFile): QueuedFile {
  if (packed === undefined) return { ...queuedFileOf(name, file!), ...(replaces && { replaces }) };
  const open = () =>
    packed.unpacked().catch((error) => {
      throw new Error(`${name} can't be unpacked: ${messageOf(error)}.`);
    });
  return { name, size: packed.sizeBytes, etag: null, open };
}

function queuedText(name: string, text: string): QueuedFile {
  const blob = new Blob([text]);
  return { name, size: blob.size, etag: null, open: async () => blob };
}

/** Leaves out files of one name, where none may be renamed. */
export function withoutCollisions(candidates: readonly Candidate[]) {
  const byName = [...groupedBy(candidates, ({ name }) => name).values()];
  const pathOf = ({ folder, name }: Candidate) => [folder, name].filter(Boolean).join('/');
  const reasonOf = (name: string, count: number) =>
    `${countOf(count, 'file')} would be named ${name}, because a dataset has no folders. Rename all but one of them.`;
  return {
    files: byName.flatMap(([first, ...others]) => (others.length === 0 ? first!.file : [])),
    colliding: byName.flatMap((group) => {
      if (group.length === 1) return [];
      return group.map((each) => ({ path: pathOf(each), reason: reasonOf(each.name, group.length) }));
    }),
  };
}

/** A file to upload under a name that no file of the dataset has. */
export function queuedFileOf(name: string, file: File): QueuedFile {
  const open = async () => {
    try {
      // Fails if the file changed on disk. Without this read, the request would fail without a reason.
      await file.slice(0, 1).arrayBuffer();
      return file;
    } catch {
      throw new Error(`${name} was changed, moved or deleted after you chose it. Choose it again.`);
    }
  };
  return { name, size: file.size, etag: null, open };
}
