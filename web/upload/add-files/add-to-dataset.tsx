import { useQuery } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useId } from 'react';
import type { DatasetWithFiles, PushFile, TrainyardClient } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { Dialog } from '../../ui/dialog.js';
import { countOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { uploadQueue } from '../queue/page-queue.js';
import { type CheckedFiles, checkFiles } from './check-files.js';
import type { DroppedFile } from './dropped-files.js';
import { Preparing } from './preparing.js';
import { SkippedFiles } from './skipped-files.js';

interface PreparedFiles extends Omit<CheckedFiles, 'files'> {
  readonly dataset: DatasetWithFiles;
  /** Files with a new name. */
  readonly added: readonly PushFile[];
  /** Files that would replace a file of the same name in the dataset or in the queue. */
  readonly overwriting: readonly PushFile[];
  /** Number of files that the dataset has already, with the same bytes. */
  readonly unchanged: number;
}

interface AddToDatasetProps {
  readonly files: Promise<readonly DroppedFile[]>;
  readonly datasetId: string;
  readonly onDone: () => void;
}

/** Uploads files into a dataset. Asks first if files would be overwritten or are rejected. */
export function AddToDataset({ files, datasetId, onDone }: AddToDatasetProps) {
  const client = useClient();
  const {
    data: prepared,
    error,
    refetch,
  } = useQuery({
    queryKey: ['prepare-files', useId()],
    queryFn: ({ signal }) => prepare(client, datasetId, files, signal),
    gcTime: 0,
    structuralSharing: false,
  });
  const canUploadAtOnce = prepared !== undefined && prepared.added.length > 0 && !needsConfirmation(prepared);

  const upload = (chosen: readonly PushFile[]) => {
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
  if (prepared === undefined) return <Preparing error={error} onRetry={() => void refetch()} onCancel={onDone} />;
  return <ConfirmUpload prepared={prepared} onUpload={upload} onCancel={onDone} />;
}

interface ConfirmUploadProps {
  readonly prepared: PreparedFiles;
  readonly onUpload: (files: readonly PushFile[]) => void;
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
      <div className="flex flex-wrap justify-end gap-2">
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
      </div>
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

/** Checks the files, and compares them with the dataset and the upload queue. */
async function prepare(
  client: TrainyardClient,
  datasetId: string,
  dropped: AddToDatasetProps['files'],
  signal: AbortSignal,
): Promise<PreparedFiles> {
  const [dataset, { files, rejected, hidden }] = await Promise.all([
    client.status(datasetId, { signal }),
    dropped.then(checkFiles),
  ]);
  const existing = new Set(dataset.files.map(({ filename }) => filename));
  const queued = new Set(uploadQueue.unsentNames(datasetId));
  const sameName = files.filter(({ name }) => existing.has(name));
  const different = new Set(sameName.length === 0 ? [] : await client.missing(dataset, sameName, { signal }));
  const isUnchanged = (file: PushFile) => existing.has(file.name) && !different.has(file) && !queued.has(file.name);
  const changed = files.filter((file) => !isUnchanged(file));
  const isOverwriting = ({ name }: PushFile) => existing.has(name) || queued.has(name);
  return {
    dataset,
    rejected,
    hidden,
    added: changed.filter((file) => !isOverwriting(file)),
    overwriting: changed.filter(isOverwriting),
    unchanged: files.length - changed.length,
  };
}
