import { useMemo } from 'react';
import type { DatasetWithFiles, Problem } from '../../src/client/client.js';
import { ClipPanel } from './clip-panel.js';
import { ImageFindingsPanel } from './image-findings/image-findings-panel.js';
import { ProblemsPanel } from './problems-panel.js';
import { ResolutionPanel } from './resolution-panel.js';
import { Verdict } from './verdict.js';

const NO_PROBLEMS: readonly Problem[] = [];

/** The view "Fit to train?": the verdict, problems, buckets, clip lengths and image findings of a dataset. */
export function FitnessView({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, files, warnings, error } = dataset;
  const filenames = useMemo(() => new Set(files.map(({ filename }) => filename)), [files]);
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-4">
      <Verdict dataset={dataset} />
      <ProblemsPanel
        title="Errors"
        datasetId={id}
        problems={error?.problems ?? NO_PROBLEMS}
        filenames={filenames}
        areErrors
      />
      <ProblemsPanel title="Warnings" datasetId={id} problems={warnings} filenames={filenames} areErrors={false} />
      <ResolutionPanel datasetId={id} files={files} />
      <ClipPanel datasetId={id} files={files} />
      <ImageFindingsPanel dataset={dataset} />
    </div>
  );
}
