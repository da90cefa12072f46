import { useMemo } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { isPairProblem, type WarningCode } from '../../src/dataset/problems.js';
import { DuplicatesPanel } from '../duplicates/duplicates-panel.js';
import { useCanWrite } from '../session/account.js';
import { CaptionFindingsPanel } from './caption-findings-panel.js';
import { ClipPanel } from './clip-panel.js';
import { ImageFindingsPanel } from './image-findings-panel.js';
import { MissingCaptionsPanel } from './fixes/missing-captions-panel.js';
import { PairsPanel } from './pairs/pairs-panel.js';
import { ProblemsPanel } from './problems-panel.js';
import { ResolutionPanel } from './resolution-panel.js';
import { Verdict } from './verdict.js';

/** Warnings of a training dataset that the panel of controls and masks lists by stem or file. */
const LISTED_BY_STEM: ReadonlySet<string> = new Set<WarningCode>([
  'EXTRA_CONTROL',
  'EXTRA_MASK',
  'BLACK_MASK',
  'MASK_NOT_GRAYSCALE',
]);

/** The view "Fit to train?": the verdict, what follows from it, buckets, clip lengths and image findings of a dataset. */
export function FitnessView({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, role, files, warnings, error, links } = dataset;
  const canWrite = useCanWrite();
  const hasLinks = links !== undefined;
  // The panel of controls and masks lists these, the fields for missing captions those, and the message about the interrupted
  // upload its files.
  const errors = useMemo(
    () =>
      (error?.problems ?? []).filter(
        (problem) =>
          !(hasLinks && isPairProblem(problem)) &&
          problem.code !== 'UPLOAD_EXPIRED' &&
          !(canWrite && problem.code === 'MISSING_CAPTION'),
      ),
    [error, canWrite, hasLinks],
  );
  const ownWarnings = useMemo(
    () => (hasLinks ? warnings.filter((problem) => !LISTED_BY_STEM.has(problem.code)) : warnings),
    [warnings, hasLinks],
  );
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-4">
      <Verdict dataset={dataset} />
      <PairsPanel dataset={dataset} />
      {role === 'training' && canWrite && <MissingCaptionsPanel dataset={dataset} />}
      <ProblemsPanel title="Errors" dataset={dataset} problems={errors} found={error?.problems.length ?? 0} areErrors />
      <ProblemsPanel title="Warnings" dataset={dataset} problems={ownWarnings} found={warnings.length} />
      {role === 'training' && <CaptionFindingsPanel dataset={dataset} />}
      {role === 'training' && <DuplicatesPanel dataset={dataset} />}
      {role === 'training' && <ResolutionPanel datasetId={id} files={files} />}
      <ClipPanel datasetId={id} files={files} />
      <ImageFindingsPanel dataset={dataset} />
    </div>
  );
}
