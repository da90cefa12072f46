import type { Dataset } from '../../../src/client/client.js';
import { useDatasets } from '../../live/datasets.js';
import { NewDatasetDialog } from '../../new-dataset/new-dataset-dialog.js';
import { Button } from '../../ui/button.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { countOf } from '../../ui/format.js';
import { uploadQueue } from '../queue/page-queue.js';
import { checkFiles } from './check-files.js';
import { commonFolderOf, type DroppedFile } from './dropped-files.js';
import { Preparing, usePrepared } from './preparing.js';
import { SkippedFiles } from './skipped-files.js';
import { suggestName } from './suggest-name.js';

interface AddToNewDatasetProps {
  readonly files: Promise<readonly DroppedFile[]>;
  readonly onDone: () => void;
}

/** Asks for the name of a new dataset, creates it and uploads the files into it. */
export function AddToNewDataset({ files: dropped, onDone }: AddToNewDatasetProps) {
  const { data: datasets } = useDatasets();
  const { prepared, error, retry } = usePrepared(async () => {
    return { ...(await dropped.then(checkFiles)), folder: commonFolderOf(await dropped) };
  });
  if (prepared === undefined) return <Preparing error={error} onRetry={retry} onCancel={onDone} />;
  const { files, rejected, hidden, folder } = prepared;
  const skipped = <SkippedFiles rejected={rejected} hidden={hidden} />;
  if (files.length === 0) {
    return (
      <Dialog title="Nothing to upload" onClose={onDone} width="max-w-2xl">
        {skipped}
        {rejected.length + hidden === 0 && <p>The folder contains no files.</p>}
        <DialogActions>
          <Button onClick={onDone}>Close</Button>
        </DialogActions>
      </Dialog>
    );
  }
  const taken = new Set(datasets?.map(({ name }) => name));
  const upload = {
    suggestedName: suggestName(folder, (name) => !taken.has(name)),
    details: skipped,
    submitLabel: `Create and upload ${countOf(files.length, 'file')}`,
    onCreated: (dataset: Dataset) => {
      uploadQueue.add(dataset, files, { hidden });
      onDone();
    },
  };
  return <NewDatasetDialog taken={taken} onClose={onDone} upload={upload} />;
}
