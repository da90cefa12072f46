import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { DatasetFile, Problem } from '../../../src/client/client.js';
import { filesByStem } from '../../live/counterparts.js';
import type { LinkedFiles } from './linked-files.js';
import { StemList } from './stem-list.js';

/** Stems of which the linked dataset has several images. */
export function AmbiguousList({ link, word }: LinkedFiles) {
  const byStem = filesByStem(link.files);
  return (
    <StemList label={`Several files for one ${word}`} stems={link.ambiguous.stems} total={link.ambiguous.count}>
      {(stem) => (
        <Row>
          <span className="mr-auto wrap-anywhere">{stem}</span>
          {byStem.get(stem)?.map(({ filename }) => (
            <FileLink key={filename} datasetId={link.dataset_id} filename={filename} />
          ))}
        </Row>
      )}
    </StemList>
  );
}

interface SizeListProps extends Pick<LinkedFiles, 'dataset' | 'link'> {
  readonly label: string;
  readonly stems: LinkedFiles['link']['misfit'];
}

/** Pairs with both sizes. */
export function SizeList({ dataset, link, label, stems }: SizeListProps) {
  const targets = filesByStem(dataset.files);
  const counterparts = filesByStem(link.files);
  return (
    <StemList label={label} stems={stems.stems} total={stems.count}>
      {(stem) => {
        const [target] = targets.get(stem) ?? [];
        const [counterpart] = counterparts.get(stem) ?? [];
        return (
          <Row>
            {target === undefined ? stem : <FileLink datasetId={dataset.id} filename={target.filename} />}
            <span className="mr-auto text-muted">{sizeTextOf(target)}</span>
            {counterpart !== undefined && <FileLink datasetId={link.dataset_id} filename={counterpart.filename} />}
            <span className="text-muted">{sizeTextOf(counterpart)}</span>
          </Row>
        );
      }}
    </StemList>
  );
}

/** Controls or masks without a target. */
export function ExtraList({ link, word }: LinkedFiles) {
  const byStem = filesByStem(link.files);
  return (
    <StemList label={`Files for the ${word} without a target`} stems={link.extra.stems} total={link.extra.count}>
      {(stem) => (
        <Row>
          {byStem
            .get(stem)
            ?.map(({ filename }) => <FileLink key={filename} datasetId={link.dataset_id} filename={filename} />) ??
            stem}
        </Row>
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
    <StemList label={label} stems={[...byName.keys()]} total={byName.size}>
      {(filename) => (
        <Row>
          <p className="min-w-0 grow basis-40 wrap-anywhere">{byName.get(filename)}</p>
          <FileLink datasetId={datasetId} filename={filename} />
        </Row>
      )}
    </StemList>
  );
}

function Row({ children }: { children: ReactNode }) {
  return <div className="flex flex-wrap items-center gap-x-4 gap-y-1 px-3 py-2 text-sm">{children}</div>;
}

function FileLink({ datasetId, filename }: { datasetId: string; filename: string }) {
  return (
    <Link href={`/datasets/${datasetId}?file=${encodeURIComponent(filename)}`} className="text-link wrap-anywhere">
      {filename}
    </Link>
  );
}

/** `1024 × 768`. */
function sizeTextOf(file: DatasetFile | undefined): string {
  return file?.width === undefined || file.height === undefined ? '' : `${file.width} × ${file.height}`;
}
