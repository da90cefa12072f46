import { useMemo, useState } from 'react';
import type { DatasetWithFiles, Problem } from '../../src/client/client.js';
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

/** Warnings of a training dataset that the panel of controls and masks lists by stem. */
const LISTED_BY_STEM: ReadonlySet<string> = new Set<WarningCode>(['EXTRA_CONTROL', 'EXTRA_MASK']);

/** The view "Fit to train?": the verdict, what follows from it, buckets, clip lengths and image findings of a dataset. */
export function FitnessView({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, role, files, warnings, links } = dataset;
  const canWrite = useCanWrite();
  const known = useErrors(dataset, canWrite);
  const hasLinks = links !== undefined;
  // The panel of controls and masks lists these, the fields for missing captions those, and the message about the interrupted
  // upload its files.
  const errors = useMemo(
    () =>
      known.filter(
        (problem) =>
          !(hasLinks && isPairProblem(problem)) &&
          problem.code !== 'UPLOAD_EXPIRED' &&
          !(canWrite && problem.code === 'MISSING_CAPTION'),
      ),
    [known, canWrite, hasLinks],
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
      <ProblemsPanel title="Errors" dataset={dataset} problems={errors} found={known.length} areErrors />
      <ProblemsPanel title="Warnings" dataset={dataset} problems={ownWarnings} found={warnings.length} />
      {role === 'training' && <CaptionFindingsPanel dataset={dataset} />}
      {role === 'training' && <DuplicatesPanel dataset={dataset} />}
      {role === 'training' && <ResolutionPanel datasetId={id} files={files} />}
      <ClipPanel datasetId={id} files={files} />
      <ImageFindingsPanel dataset={dataset} />
    </div>
  );
}

const NONE: readonly Problem[] = [];
const NO_NAMES: ReadonlySet<string> = new Set();

/**
 * The service lists no errors while an upload runs. For a person who is about to solve some, those before it stay, unless their
 * files have come or gone since.
 */
function useErrors(dataset: DatasetWithFiles, canWrite: boolean): readonly Problem[] {
  const { status, error } = dataset;
  const listed = status === 'UPLOADING' ? undefined : (error?.problems ?? NONE);
  const [last, setLast] = useState({ problems: NONE, stored: NO_NAMES });
  if (listed !== undefined && listed !== last.problems) setLast({ problems: listed, stored: storedIn(dataset) });
  return useMemo(() => {
    if (listed !== undefined || !canWrite) return listed ?? NONE;
    const stored = storedIn(dataset);
    return last.problems.filter(({ filename }) => {
      if (filename === undefined || last.stored.has(filename) !== stored.has(filename)) return false;
      return stored.has(filename) || dataset.counts.rejected > 0;
    });
  }, [listed, canWrite, last, dataset]);
}

function storedIn({ files, damaged = [] }: DatasetWithFiles): ReadonlySet<string> {
  return new Set([...files, ...damaged].map(({ filename }) => filename));
}
