import type { DatasetFile, RevisionDiff } from '../../src/client/client.js';
import { stemOf } from '../../src/dataset/media.js';

/** A file that differs between two revisions. `before` and `after` are `undefined` where it does not exist. */
export interface DifferentFile {
  readonly filename: string;
  readonly before?: DatasetFile | undefined;
  readonly after?: DatasetFile | undefined;
  /** The texts of a caption; `undefined` where there is none, or none that is short enough to show. */
  readonly textBefore?: string | undefined;
  readonly textAfter?: string | undefined;
}

/** The files that share a stem and differ. */
export interface DiffRow {
  readonly stem: string;
  readonly media: readonly DifferentFile[];
  readonly captions: readonly DifferentFile[];
}

type DiffPage = Pick<RevisionDiff, 'added' | 'removed' | 'changed'>;

/** Groups the files of the pages of a comparison by stem, in the order of stems. */
export function diffRowsOf(pages: readonly DiffPage[]): DiffRow[] {
  const rows = new Map<string, { stem: string; media: DifferentFile[]; captions: DifferentFile[] }>();
  for (const file of pages.flatMap(differentFilesOf)) {
    const stem = stemOf(file.filename);
    const row = rows.get(stem) ?? { stem, media: [], captions: [] };
    rows.set(stem, row);
    const { kind } = file.after ?? file.before!;
    (kind === 'caption' ? row.captions : row.media).push(file);
  }
  return [...rows.values()].sort((a, b) => (a.stem < b.stem ? -1 : a.stem > b.stem ? 1 : 0));
}

function differentFilesOf({ added, removed, changed }: DiffPage): DifferentFile[] {
  return [
    ...added.map((file) => ({ filename: file.filename, after: file, textAfter: file.text })),
    ...removed.map((file) => ({ filename: file.filename, before: file, textBefore: file.text })),
    ...changed.map(({ filename, from, to, from_text, to_text }) => ({
      filename,
      before: from,
      after: to,
      textBefore: from_text,
      textAfter: to_text,
    })),
  ];
}
