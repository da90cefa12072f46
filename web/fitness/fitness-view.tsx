import { useMemo } from 'react';
import { MAX_LISTED } from '../../src/api/limits.js';
import type { DatasetWithFiles, Problem } from '../../src/client/client.js';
import { useCanWrite } from '../session/account.js';
import { TrainPanel } from '../train/train-panel.js';
import { ClipPanel } from './clip-panel.js';
import { ImageFindingsPanel } from './image-findings/image-findings-panel.js';
import { MissingCaptionsPanel } from './mend/missing-captions-panel.js';
import { ProblemsPanel } from './problems-panel.js';
import { ResolutionPanel } from './resolution-panel.js';
import { Verdict } from './verdict.js';

const NO_PROBLEMS: readonly Problem[] = [];

/** The view "Fit to train?": the verdict, what follows from it, buckets, clip lengths and image findings of a dataset. */
export function FitnessView({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, files, damaged, warnings, error } = dataset;
  const canWrite = useCanWrite();
  const filesByName = useMemo(
    () => new Map([...files, ...(damaged ?? [])].map((file) => [file.filename, file])),
    [files, damaged],
  );
  const errors = useMemo(() => {
    const problems = error?.problems ?? NO_PROBLEMS;
    // The fields for missing captions list these, and the message about the interrupted upload its files.
    return problems.filter(({ code }) => code !== 'UPLOAD_EXPIRED' && !(canWrite && code === 'MISSING_CAPTION'));
  }, [error, canWrite]);
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-4">
      <Verdict dataset={dataset} />
      {dataset.status === 'READY' && <TrainPanel dataset={dataset} />}
      {canWrite && <MissingCaptionsPanel dataset={dataset} />}
      <ProblemsPanel
        title="Errors"
        dataset={dataset}
        problems={errors}
        files={filesByName}
        areErrors
        isTruncated={isTruncated(error?.problems)}
      />
      <ProblemsPanel
        title="Warnings"
        dataset={dataset}
        problems={warnings}
        files={filesByName}
        areErrors={false}
        isTruncated={isTruncated(warnings)}
      />
      <ResolutionPanel datasetId={id} files={files} />
      <ClipPanel datasetId={id} files={files} />
      <ImageFindingsPanel dataset={dataset} />
    </div>
  );
}

function isTruncated(problems: readonly Problem[] = NO_PROBLEMS): boolean {
  return problems.length >= MAX_LISTED;
}
