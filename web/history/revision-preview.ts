import { useQuery } from '@tanstack/react-query';
import { type RefObject, useEffect, useMemo, useState } from 'react';
import type { DatasetFile, DatasetWithFiles, Revision, RevisionDiff } from '../../src/client/client.js';
import { stemOf } from '../../src/dataset/media.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import { operationOf } from './operation.js';
import { filesByStem } from '../live/counterparts.js';
import { useClient } from '../session/client.js';

/** Enough to name what was done to all captions of most changes. */
const MAX_FILES = 60;
const MAX_PICTURES = 4;

/** A picture of a change, and the revision that has it. */
export interface ChangedPicture {
  readonly file: DatasetFile;
  readonly revision: number | undefined;
  readonly isRemoved: boolean;
}

interface PreviewOptions {
  readonly dataset: DatasetWithFiles;
  readonly revision: Revision;
  /** The revision before it; `undefined` if it is not known. */
  readonly from: number | undefined;
  /** Whether it is shown: only then is it read. */
  readonly isSeen: boolean;
}

/** The first pictures of what a revision changed, and its words. */
export function useRevisionPreview({ dataset, revision, from, isSeen }: PreviewOptions) {
  const client = useClient();
  const { id, files } = dataset;
  const { number, how, digest, added, removed, changed } = revision;
  const { data } = useQuery({
    // A revision grows while its change goes on.
    queryKey: ['revision-preview', id, from, number, digest],
    queryFn: ({ signal }) => client.history.diff(id, { from: from!, to: number, limit: MAX_FILES }, { signal }),
    enabled: isSeen && from !== undefined && added + removed + changed > 0,
  });
  return useMemo(() => {
    if (data === undefined || from === undefined) return undefined;
    // The others are named by the revision that they lead back to.
    const operation = how === 'undo' || how === 'restore' ? undefined : operationIn(data);
    return { pictures: picturesIn(data, { files, from, to: number }), operation };
  }, [data, files, from, number, how]);
}

/** Whether an element has been in the window. */
export function useSeen(element: RefObject<Element | null>): boolean {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    if (isSeen || element.current === null) return;
    const observer = new IntersectionObserver((entries) => setSeen(entries.some((entry) => entry.isIntersecting)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [isSeen, element]);
  return isSeen;
}

/** The changed pictures and, for changed captions, the pictures that the dataset has now. */
function picturesIn(
  diff: RevisionDiff,
  { files, from, to }: { files: readonly DatasetFile[]; from: number; to: number },
): ChangedPicture[] {
  const now = filesByStem(files);
  const all = diffRowsOf([diff]).flatMap(({ stem, media }): ChangedPicture[] => {
    const [current] = now.get(stem) ?? [];
    if (media.length === 0) return current ? [{ file: current, revision: undefined, isRemoved: false }] : [];
    return media.map((file) => ({
      file: (file.to ?? file.from)!,
      revision: file.to === undefined ? from : to,
      isRemoved: file.to === undefined,
    }));
  });
  return all.slice(0, MAX_PICTURES);
}

function operationIn({ total, changed }: RevisionDiff): string | undefined {
  if (total.added + total.removed > 0 || changed.length < total.changed) return undefined;
  const texts = changed.map(({ from_text, to_text }) => ({ before: from_text, after: to_text }));
  return texts.every(({ before, after }) => before !== undefined && after !== undefined)
    ? operationOf(texts.map(({ before, after }) => ({ before: before!, after: after! })))
    : undefined;
}

/**
 * A file that differs between two revisions. `from` and `to` are `undefined` where it does not exist, and their texts where there
 * is none that is short enough to show.
 */
export type DifferentFile = Pick<Difference, 'filename'> & Partial<Difference>;

type Difference = RevisionDiff['changed'][number];

/** The files that share a stem and differ. */
export interface DiffRow {
  readonly stem: string;
  readonly media: readonly DifferentFile[];
  readonly captions: readonly DifferentFile[];
}

type DiffPage = Pick<RevisionDiff, 'added' | 'removed' | 'changed'>;

/** Groups the files of the pages of a comparison by stem, in the order of stems. */
export function diffRowsOf(pages: readonly DiffPage[]): DiffRow[] {
  const byStem = groupedBy(pages.flatMap(differentFilesOf), ({ filename }) => stemOf(filename));
  const isCaption = ({ from, to }: DifferentFile) => (to ?? from)?.kind === 'caption';
  return [...byStem]
    .map(([stem, files]) => ({
      stem,
      media: files.filter((file) => !isCaption(file)),
      captions: files.filter(isCaption),
    }))
    .sort((a, b) => (a.stem < b.stem ? -1 : a.stem > b.stem ? 1 : 0));
}

function differentFilesOf({ added, removed, changed }: DiffPage): DifferentFile[] {
  return [
    ...added.map((to) => ({ filename: to.filename, to, to_text: to.text })),
    ...removed.map((from) => ({ filename: from.filename, from, from_text: from.text })),
    ...changed,
  ];
}
