import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Problem } from '../../../src/client/client.js';
import { useDataset } from '../../live/dataset.js';
import { useCanWrite } from '../../session/account.js';
import { capitalized } from '../../ui/format.js';
import { StatusBadge } from '../../ui/status-badge.js';
import { AddFilesButton } from '../../upload/add-files/add-buttons.js';
import { useAddFiles } from '../../upload/add-files/add-files.js';
import { DropPlace } from '../../upload/add-files/drop-place.js';
import { FindingGroup } from '../finding-group.js';
import type { LinkedFiles } from './linked-files.js';
import { MissingList } from './missing-list.js';
import { AmbiguousList, ExtraList, FileProblems, SizeList } from './other-lists.js';

type LinkSectionProps = Omit<LinkedFiles, 'link'> & { readonly link: Omit<LinkedFiles['link'], 'files'> };

/** A control or the mask of a training dataset: its status, and what is wrong with the pairs. */
export function LinkSection({ dataset, link: { slot, ...link }, word }: LinkSectionProps) {
  const addFiles = useAddFiles();
  const canWrite = useCanWrite();
  const { data: linked } = useDataset(link.dataset_id);
  const { dataset_id: id, name, status, missing, ambiguous, misfit, stretched, extra } = link;
  const lists: LinkedFiles = { dataset, link: { ...link, slot, files: linked?.files ?? [] }, word };
  const noun = slot === 'mask' ? 'mask' : 'control';
  const content = (
    <>
      <div className="flex flex-wrap items-center gap-3">
        <h3 className="text-sm font-medium wrap-anywhere">
          {capitalized(word)}:{' '}
          <Link href={`/datasets/${id}/fitness`} className="text-link">
            {name}
          </Link>
        </h3>
        <StatusBadge status={status} />
        {canWrite && missing.count > 0 && (
          <span className="ml-auto">
            <AddFilesButton datasetId={id} label={`Add files to ${name}`} />
          </span>
        )}
      </div>
      <StatusText noun={noun} link={{ ...link, slot }} />
      {missing.count > 0 && (
        <FindingGroup title={`Missing ${noun}s`} count={missing.count} areErrors>
          <Advice>
            {canWrite
              ? `Drop each file in its place; it gets the name of its target. Or drop files that have the names of their targets anywhere in this part: they are added to ${name}.`
              : `The trainer stops, or trains without the ${noun}.`}
          </Advice>
          <MissingList {...lists} />
        </FindingGroup>
      )}
      {ambiguous.count > 0 && (
        <FindingGroup title={`Several ${noun}s of one name`} count={ambiguous.count} areErrors>
          <Advice>The trainer takes one of them and ignores the others. Delete or rename all but one.</Advice>
          <AmbiguousList {...lists} />
        </FindingGroup>
      )}
      {misfit.count > 0 && (
        <FindingGroup title={`Sizes that don't fit`} count={misfit.count} areErrors>
          <Advice>
            {slot === 'mask'
              ? 'The trainer stops, or counts the wrong region. Replace each mask with one of the shape of its target.'
              : 'The trainer stops at controls that are too small or too narrow. Replace each with a larger one.'}
          </Advice>
          <SizeList {...lists} label={`Sizes of the ${word} that don't fit`} stems={misfit} />
        </FindingGroup>
      )}
      {stretched.count > 0 && (
        <FindingGroup title="Other aspect ratios" count={stretched.count} areErrors={false}>
          <Advice>
            {slot === 'mask'
              ? 'The trainer stretches each mask over its target, so that another region counts.'
              : 'Some models stretch each control to its target, others do not.'}
          </Advice>
          <SizeList {...lists} label={`Other aspect ratios of the ${word}`} stems={stretched} />
        </FindingGroup>
      )}
      {slot === 'mask' && <MaskWarnings datasetId={id} warnings={linked?.warnings ?? []} />}
      {extra.count > 0 && (
        <FindingGroup title={`${capitalized(noun)}s without a target`} count={extra.count} areErrors={false}>
          <Advice>
            The trainer ignores them. Add the targets to {dataset.name}, or delete them from {name}.
          </Advice>
          <ExtraList {...lists} />
        </FindingGroup>
      )}
    </>
  );
  const layout = 'flex flex-col gap-2 rounded-lg';
  if (!canWrite || missing.count === 0) return <div className={layout}>{content}</div>;
  return (
    <DropPlace onFiles={(files) => addFiles(files, id)} className={layout}>
      {content}
    </DropPlace>
  );
}

/** What the status of the linked dataset means for the pairs, or that there is nothing to repair. */
function StatusText({ noun, link }: { noun: string; link: LinkSectionProps['link'] }) {
  const { dataset_id: id, name, status, missing, ambiguous, misfit } = link;
  const hasErrors = missing.count + ambiguous.count + misfit.count > 0;
  const text = {
    READY: hasErrors ? '' : `Each target has its ${noun}.`,
    UPLOADING: `${name} is not complete yet.`,
    FAILED: `${name} is not fit to train with.`,
    DRAFT: `${name} has no images yet.`,
  }[status];
  if (text === '') return null;
  return (
    <p className="text-sm text-muted">
      {text}{' '}
      {status === 'FAILED' && (
        <Link href={`/datasets/${id}/fitness`} className="text-link">
          Show what is wrong with it
        </Link>
      )}
    </p>
  );
}

/** Masks that are black, or not grayscale: they decide what is trained, so that the training dataset shows them as well. */
function MaskWarnings({ datasetId, warnings }: { datasetId: string; warnings: readonly Problem[] }) {
  const black = warnings.filter(({ code }) => code === 'BLACK_MASK');
  const other = warnings.filter(({ code }) => code === 'MASK_NOT_GRAYSCALE');
  return (
    <>
      {black.length > 0 && (
        <FindingGroup title="Black masks" count={black.length} areErrors={false}>
          <FileProblems datasetId={datasetId} label="Black masks" problems={black} />
        </FindingGroup>
      )}
      {other.length > 0 && (
        <FindingGroup title="Masks that are not grayscale" count={other.length} areErrors={false}>
          <FileProblems datasetId={datasetId} label="Masks that are not grayscale" problems={other} />
        </FindingGroup>
      )}
    </>
  );
}

function Advice({ children }: { children: ReactNode }) {
  return <p className="max-w-prose border-b border-line px-3 py-2 text-sm text-muted">{children}</p>;
}
