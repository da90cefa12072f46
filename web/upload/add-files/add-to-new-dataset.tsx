import { useQuery } from '@tanstack/react-query';
import { useId } from 'react';
import type { Dataset } from '../../../src/client/client.js';
import { parseDatasetName } from '../../../src/dataset/names.js';
import { useDatasets } from '../../live/datasets.js';
import { NewDatasetDialog } from '../../new-dataset/new-dataset-dialog.js';
import { Button } from '../../ui/button.js';
import { Dialog } from '../../ui/dialog.js';
import { countOf } from '../../ui/format.js';
import { uploadQueue } from '../queue/page-queue.js';
import { checkFiles } from './check-files.js';
import { type DroppedFile, commonFolderOf } from './dropped-files.js';
import { SkippedFiles } from './skipped-files.js';
import { Preparing } from './preparing.js';

const NONE: readonly Dataset[] = [];

interface AddToNewDatasetProps {
  readonly files: Promise<readonly DroppedFile[]>;
  readonly onDone: () => void;
}

/** Makes a dataset of files, once it has a name. */
export function AddToNewDataset({ files: brought, onDone }: AddToNewDatasetProps) {
  const { data: datasets = NONE } = useDatasets();
  const {
    data: prepared,
    error,
    refetch,
  } = useQuery({
    queryKey: ['bringing', useId()],
    queryFn: async () => ({ ...(await brought.then(checkFiles)), folder: commonFolderOf(await brought) }),
    gcTime: 0,
    structuralSharing: false,
  });
  if (prepared === undefined) return <Preparing error={error} onRetry={() => void refetch()} onCancel={onDone} />;
  const { files, rejected, hidden, folder } = prepared;
  const about = <SkippedFiles rejected={rejected} hidden={hidden} />;
  if (files.length === 0) {
    return (
      <Dialog title="Nothing to upload" onClose={onDone} width="max-w-2xl">
        {about}
        {rejected.length + hidden === 0 && <p>There are no files in what you brought.</p>}
        <div className="flex justify-end">
          <Button onClick={onDone}>Close</Button>
        </div>
      </Dialog>
    );
  }
  const taken = new Set(datasets.map(({ name }) => name));
  const onMade = (dataset: Dataset) => {
    uploadQueue.add(dataset, files, { hidden });
    onDone();
  };
  const verb = `Create, and upload ${countOf(files.length, 'file')}`;
  return (
    <NewDatasetDialog taken={taken} onClose={onDone} from={{ name: nameFor(folder, taken), about, verb, onMade }} />
  );
}

/** A name as the service takes it, after a folder. */
function nameFor(folder: string, taken: ReadonlySet<string>): string {
  const plain = folder.replace(/[^\p{L}\p{M}\p{Nd} ._-]/gu, '-').replace(/^[.\s]+/, '');
  for (let count = 1; ; count++) {
    try {
      const name = parseDatasetName(count === 1 ? plain : `${plain} ${count}`);
      if (!taken.has(name)) return name;
    } catch {
      return '';
    }
  }
}
