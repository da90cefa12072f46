import { useMemo, useState } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { ServiceError } from '../../src/dataset/errors.js';
import { linksIn } from '../../src/dataset/pairs/roles.js';
import {
  aiToolkitJob,
  TRAINERS,
  type TrainConfig,
  type Trainer,
  trainConfigOf,
} from '../../src/dataset/train/train-config.js';
import {
  type MediaChoice,
  type TrainingDataset,
  trainingDatasetsOf,
} from '../../src/dataset/train/training-dataset.js';
import { textOf, useReadPairs } from '../captions/read-pairs.js';
import { pairsOf } from '../live/pairs.js';
import { CopyButton } from '../ui/copy.js';
import { SelectField } from '../ui/fields.js';

const WHOLE_JOB = 'ai-toolkit, a whole job';
type Choice = Trainer | typeof WHOLE_JOB;
const CHOICES: readonly Choice[] = [...TRAINERS, WHOLE_JOB];

interface TrainerConfigProps {
  readonly dataset: DatasetWithFiles;
  /** The folder of datasets on the training machine. */
  readonly root: string;
  readonly only: MediaChoice | undefined;
}

/** The settings of a trainer for a dataset, as `trainyard train-config` prints them. */
export function TrainerConfig({ dataset, root, only }: TrainerConfigProps) {
  const [trainer, setTrainer] = useState<Choice>('ai-toolkit');
  const captions = useCaptionTexts(dataset);
  const config = useMemo(() => {
    const { name, digest, files, groups, links } = dataset;
    const folders = linksIn(links).map(({ slot, name }) => ({ slot, name }));
    const toTrain = { name, root, only, digest, files, groups, captions, links: folders };
    return configOrReason(trainer, trainingDatasetsOf(toTrain));
  }, [trainer, dataset, root, only, captions]);
  return (
    <div className="flex min-w-0 flex-col gap-2">
      <SelectField label="Trainer" options={CHOICES} value={trainer} onChange={setTrainer} />
      {typeof config === 'string' ? (
        <p role="status" className="text-sm">
          {config}
        </p>
      ) : (
        <>
          <div className="flex items-start gap-1 rounded-lg border border-line bg-page pl-3">
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: makes it scrollable by keyboard */}
            <section tabIndex={0} aria-label="Settings" className="min-w-0 grow overflow-x-auto py-2 text-sm">
              <pre>{config.text}</pre>
            </section>
            <CopyButton text={`${config.text}\n`} what={`the settings for ${trainer}`} />
          </div>
          {config.notes.map((note) => (
            <p key={note} className="max-w-prose text-sm text-muted">
              {note}
            </p>
          ))}
        </>
      )}
    </div>
  );
}

/** The settings, or why there are none. */
function configOrReason(trainer: Choice, datasets: readonly TrainingDataset[]): TrainConfig | string {
  try {
    if (trainer === WHOLE_JOB) return aiToolkitJob(datasets, { name: `${datasets[0]?.name}_v1` });
    return trainConfigOf(trainer, datasets);
  } catch (error) {
    if (error instanceof ServiceError) return error.message;
    throw error;
  }
}

/** The texts of all captions; `undefined` until they are read. */
function useCaptionTexts(dataset: DatasetWithFiles): { filename: string; text: string }[] | undefined {
  const pairs = useMemo(() => pairsOf(dataset), [dataset]);
  const read = useReadPairs(dataset.id, pairs);
  return useMemo(
    () =>
      read.pairs?.flatMap(({ caption }) => {
        const text = caption && textOf(caption);
        return text === undefined ? [] : [{ filename: caption!.filename, text }];
      }),
    [read.pairs],
  );
}
