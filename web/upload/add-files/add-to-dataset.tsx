import { useEffect, useEffectEvent } from 'react';
import type { DatasetWithFiles, TrainyardClient } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { countOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { uploadQueue } from '../queue/page-queue.js';
import type { QueuedFile } from '../queue/queued-file.js';
import { checkFiles } from './check-files.js';
import { type ComparedFiles, compareFiles } from './compare-files.js';
import type { DroppedFile } from './dropped-files.js';
import { Preparing, usePrepared } from './preparing.js';
import { SkippedFiles } from './skipped-files.js';

interface PreparedFiles extends ComparedFiles {
  readonly dataset: DatasetWithFiles;
}

interface AddToDatasetProps {
  readonly files: Promise<readonly DroppedFile[]>;
  readonly datasetId: string;
  readonly onDone: () => void;
}

/** Uploads files into a dataset. Asks first if files would be overwritten or are rejected. */
export function AddToDataset({ files, datasetId, onDone }: AddToDatasetProps) {
  const client = useClient();
  const { prepared, error, retry } = usePrepared((signal) => prepare(client, datasetId, files, signal));
  const canUploadAtOnce = prepared !== undefined && prepared.added.length > 0 && !needsConfirmation(prepared);

  const upload = (chosen: readonly QueuedFile[]) => {
    if (prepared !== undefined && chosen.length > 0) {
      uploadQueue.add(prepared.dataset, chosen, { hidden: prepared.hidden });
    }
    onDone();
  };
  const uploadAtOnce = useEffectEvent(() => upload(prepared?.added ?? []));
  useEffect(() => {
    if (canUploadAtOnce) uploadAtOnce();
  }, [canUploadAtOnce]);

  if (canUploadAtOnce) return null;
  if (prepared === undefined) return <Preparing error={error} onRetry={retry} onCancel={onDone} />;
  return <ConfirmUpload prepared={prepared} onUpload={upload} onCancel={onDone} />;
}

interface ConfirmUploadProps {
  readonly prepared: PreparedFiles;
  readonly onUpload: (files: readonly QueuedFile[]) => void;
  readonly onCancel: () => void;
}

function ConfirmUpload({ prepared, onUpload, onCancel }: ConfirmUploadProps) {
  const { dataset, added, overwriting, rejected, hidden, unchanged } = prepared;
  const count = added.length + overwriting.length;
  return (
    <Dialog title={dialogTitleOf(prepared)} onClose={onCancel} width="max-w-2xl">
      {overwriting.length > 0 && (
        <section className="flex flex-col gap-1">
          <h3 className="text-sm font-medium wrap-anywhere">
            {dataset.name} already has {countOf(overwriting.length, 'file')} of the same name
          </h3>
          <div className="rounded-lg border border-line">
            <LongList label="Files to overwrite" items={overwriting}>
              {({ name }) => <p className="px-3 py-2 text-sm break-all">{name}</p>}
            </LongList>
          </div>
        </section>
      )}
      <SkippedFiles rejected={rejected} hidden={hidden} unchanged={unchanged} />
      {count === 0 && rejected.length + hidden + unchanged === 0 && <p>The folder contains no files.</p>}
      <DialogActions>
        <Button onClick={onCancel}>{count === 0 ? 'Close' : 'Cancel'}</Button>
        {added.length > 0 && (
          <Button kind={overwriting.length > 0 ? 'plain' : 'primary'} onClick={() => onUpload(added)}>
            {overwriting.length > 0 ? 'Skip existing files' : `Upload ${countOf(added.length, 'file')}`}
          </Button>
        )}
        {overwriting.length > 0 && (
          <Button kind="primary" onClick={() => onUpload([...added, ...overwriting])}>
            {added.length > 0 ? `Overwrite, and upload all ${countOf(count, 'file')}` : 'Overwrite'}
          </Button>
        )}
      </DialogActions>
    </Dialog>
  );
}

function dialogTitleOf({ added, overwriting }: PreparedFiles): string {
  if (overwriting.length > 0) return `Overwrite ${countOf(overwriting.length, 'file')}?`;
  return added.length === 0 ? 'Nothing to upload' : "Some files can't be uploaded";
}

function needsConfirmation({ overwriting, rejected }: PreparedFiles): boolean {
  return overwriting.length > 0 || rejected.length > 0;
}

/** Checks the files, and compares them with the dataset. */
async function prepare(
  client: TrainyardClient,
  datasetId: string,
  dropped: AddToDatasetProps['files'],
  signal: AbortSignal,
): Promise<PreparedFiles> {
  const [dataset, checked] = await Promise.all([client.status(datasetId, { signal }), dropped.then(checkFiles)]);
  return { dataset, ...(await compareFiles(client, dataset, checked, signal)) };
}
