import { useMemo } from 'react';
import type { DatasetWithFiles, Problem } from '../../src/client/client.js';
import { ClipPanel } from './clip-panel.js';
import { ImageFindingsPanel } from './image-findings/image-findings-panel.js';
import { ProblemsPanel } from './problems-panel.js';
import { ResolutionPanel } from './resolution-panel.js';
import { Verdict } from './verdict.js';

const NONE: readonly Problem[] = [];

/** Whether a dataset is fit to train on, and what a look at all of it tells. */
export function FitnessView({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, files, warnings, error } = dataset;
  const filenames = useMemo(() => new Set(files.map(({ filename }) => filename)), [files]);
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-4">
      <Verdict dataset={dataset} />
      <ProblemsPanel
        title="What is wrong"
        datasetId={id}
        problems={error?.problems ?? NONE}
        filenames={filenames}
        isBad
      />
      <ProblemsPanel title="What to know" datasetId={id} problems={warnings} filenames={filenames} isBad={false} />
      <ResolutionPanel datasetId={id} files={files} />
      <ClipPanel datasetId={id} files={files} />
      <ImageFindingsPanel dataset={dataset} />
    </div>
  );
}
