import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { DatasetFile, DatasetWithFiles, Link as PairLink, Problem } from '../../../src/client/client.js';
import type { LinkSlot } from '../../../src/dataset/dataset.js';
import { filesByStem } from '../../live/counterparts.js';
import { numberOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';

/** A link of a training dataset, with the files of the linked dataset. */
export interface LinkedFiles {
  readonly dataset: DatasetWithFiles;
  readonly link: PairLink & { readonly slot: LinkSlot };
  /** Of the linked dataset; empty until they are known. */
  readonly files: readonly DatasetFile[];
  /** `control`, `control 2` or `mask`. */
  readonly word: string;
}

export const PAIR_ROW = 'flex flex-wrap items-center gap-x-4 gap-y-1 px-3 py-2 text-sm';

interface StemListProps {
  readonly label: string;
  readonly stems: readonly string[];
  /** How many there are; the service lists the first thousand. */
  readonly count: number;
  readonly children: (stem: string) => ReactNode;
}

export function StemList({ label, stems, count, children }: StemListProps) {
  return (
    <>
      <LongList label={label} items={stems} height="max-h-[36rem]">
        {children}
      </LongList>
      {count > stems.length && (
        <p className="border-t border-line px-3 py-2 text-sm text-muted">
          The first {numberOf(stems.length)} of {numberOf(count)} are listed. Repair these to see the others.
        </p>
      )}
    </>
  );
}

interface FilesOfStemsProps extends LinkedFiles {
  readonly of: PairLink['extra'];
  readonly label: string;
  /** Whether the files of the training dataset stand beside those of the linked one. */
  readonly withTargets?: boolean;
}

/** The files of each of some stems, with their sizes. */
export function FilesOfStems({ of, label, dataset, link, files, withTargets = false }: FilesOfStemsProps) {
  const sides = [
    ...(withTargets ? [{ datasetId: dataset.id, byStem: filesByStem(dataset.files) }] : []),
    { datasetId: link.dataset_id, byStem: filesByStem(files) },
  ];
  return (
    <StemList label={label} {...of}>
      {(stem) => (
        <div className={PAIR_ROW}>
          <span className="mr-auto wrap-anywhere">{stem}</span>
          {sides.flatMap(({ datasetId, byStem }) =>
            (byStem.get(stem) ?? []).map(({ filename, width, height }) => (
              <span key={datasetId + filename} className="flex flex-wrap gap-x-4">
                <FileLink datasetId={datasetId} filename={filename} />
                <span className="text-muted">{width && height && `${width} × ${height}`}</span>
              </span>
            )),
          )}
        </div>
      )}
    </StemList>
  );
}

interface FileProblemsProps {
  readonly datasetId: string;
  readonly label: string;
  /** Each about one file of the dataset. */
  readonly problems: readonly Problem[];
}

/** What is wrong with single files of a linked dataset. */
export function FileProblems({ datasetId, label, problems }: FileProblemsProps) {
  const byName = new Map(problems.map(({ filename = '', message }) => [filename, message]));
  return (
    <StemList label={label} stems={[...byName.keys()]} count={byName.size}>
      {(filename) => (
        <div className={PAIR_ROW}>
          <p className="min-w-0 grow basis-40 wrap-anywhere">{byName.get(filename)}</p>
          <FileLink datasetId={datasetId} filename={filename} />
        </div>
      )}
    </StemList>
  );
}

function FileLink({ datasetId, filename }: { datasetId: string; filename: string }) {
  return (
    <Link href={`/datasets/${datasetId}?file=${encodeURIComponent(filename)}`} className="text-link wrap-anywhere">
      {filename}
    </Link>
  );
}
