import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { GroupsPanel } from '../groups/groups-panel.js';
import { Panel } from '../ui/panel.js';
import { TrainPanel } from './train-panel.js';

/** The view Train: the steps to a training run, or why there is none yet. */
export function TrainView({ dataset }: { dataset: DatasetWithFiles }) {
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-4">
      {dataset.groups !== undefined && <GroupsPanel datasetId={dataset.id} groups={dataset.groups} />}
      {dataset.status === 'READY' ? (
        <TrainPanel dataset={dataset} />
      ) : (
        <Panel title="Not ready to train on">
          <p>
            The steps to a training run appear here once the dataset is READY.{' '}
            <Link href={`/datasets/${dataset.id}/fitness`} className="text-link">
              See what is missing
            </Link>
          </p>
        </Panel>
      )}
    </div>
  );
}
