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
import { SkippedFiles } from './skipped-files.js';
import { Preparing } from './preparing.js';

interface Prepared extends Omit<CheckedFiles, 'files'> {
  readonly dataset: DatasetWithFiles;
  readonly fresh: readonly PushFile[];
  /** Would take the place of others, which are there or on their way. */
  readonly overwriting: readonly PushFile[];
  /** Are there already with the same bytes. */
  readonly unchanged: number;
}

interface AddToDatasetProps {
  readonly files: Promise<readonly DroppedFile[]>;
  readonly datasetId: string;
  readonly onDone: () => void;
}

/** Uploads files into a dataset: at once, or after one question about all that is not plain. */
export function AddToDataset({ files, datasetId, onDone }: AddToDatasetProps) {
  const client = useClient();
  const {
    data: prepared,
    error,
    refetch,
  } = useQuery({
    queryKey: ['bringing', useId()],
    queryFn: ({ signal }) => prepare(client, datasetId, files, signal),
    gcTime: 0,
    structuralSharing: false,
  });
  const isPlain = prepared !== undefined && prepared.fresh.length > 0 && nothingToAsk(prepared);

  const upload = (chosen: readonly PushFile[]) => {
    if (prepared !== undefined && chosen.length > 0)
      uploadQueue.add(prepared.dataset, chosen, { hidden: prepared.hidden });
    onDone();
  };
  const uploadAll = useEffectEvent(() => upload(prepared?.fresh ?? []));
  useEffect(() => {
    if (isPlain) uploadAll();
  }, [isPlain]);

  if (isPlain) return null;
  if (prepared === undefined) return <Preparing error={error} onRetry={() => void refetch()} onCancel={onDone} />;
  return <ConfirmUpload prepared={prepared} onUpload={upload} onCancel={onDone} />;
}

interface ConfirmUploadProps {
  readonly prepared: Prepared;
  readonly onUpload: (files: readonly PushFile[]) => void;
  readonly onCancel: () => void;
}

function ConfirmUpload({ prepared, onUpload, onCancel }: ConfirmUploadProps) {
  const { dataset, fresh, overwriting, rejected, hidden, unchanged } = prepared;
  const count = fresh.length + overwriting.length;
  return (
    <Dialog title={dialogTitleOf(prepared)} onClose={onCancel} width="max-w-2xl">
      {overwriting.length > 0 && (
        <section className="flex flex-col gap-1">
          <h3 className="text-sm font-medium wrap-anywhere">
            {dataset.name} has {countOf(overwriting.length, 'file')} of the same name already
          </h3>
          <div className="rounded-lg border border-line">
            <LongList label="Files that are there already" items={overwriting}>
              {({ name }) => <p className="px-3 py-2 text-sm break-all">{name}</p>}
            </LongList>
          </div>
        </section>
      )}
      <SkippedFiles rejected={rejected} hidden={hidden} unchanged={unchanged} />
      {count === 0 && rejected.length + hidden + unchanged === 0 && <p>There are no files in what you brought.</p>}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onCancel}>{count === 0 ? 'Close' : 'Cancel'}</Button>
        {fresh.length > 0 && (
          <Button kind={overwriting.length > 0 ? 'plain' : 'primary'} onClick={() => onUpload(fresh)}>
            {overwriting.length > 0 ? 'Leave those out' : `Upload ${countOf(fresh.length, 'file')}`}
          </Button>
        )}
        {overwriting.length > 0 && (
          <Button kind="primary" onClick={() => onUpload([...fresh, ...overwriting])}>
            {fresh.length > 0 ? `Overwrite, and upload all ${countOf(count, 'file')}` : 'Overwrite'}
          </Button>
        )}
      </div>
    </Dialog>
  );
}

function dialogTitleOf({ fresh, overwriting }: Prepared): string {
  if (overwriting.length > 0) return `Overwrite ${countOf(overwriting.length, 'file')}?`;
  return fresh.length === 0 ? 'Nothing to upload' : 'Not all files can be uploaded';
}

function nothingToAsk({ overwriting, rejected }: Prepared): boolean {
  return overwriting.length === 0 && rejected.length === 0;
}

async function prepare(
  client: TrainyardClient,
  datasetId: string,
  brought: AddToDatasetProps['files'],
  signal: AbortSignal,
): Promise<Prepared> {
  const [dataset, { files, rejected, hidden }] = await Promise.all([
    client.status(datasetId, { signal }),
    brought.then(checkFiles),
  ]);
  const there = new Set(dataset.files.map(({ filename }) => filename));
  const onTheirWay = new Set(uploadQueue.unsentNames(datasetId));
  const known = files.filter(({ name }) => there.has(name));
  const different = new Set(known.length === 0 ? [] : await client.missing(dataset, known, { signal }));
  const isUnchanged = (file: PushFile) => there.has(file.name) && !different.has(file) && !onTheirWay.has(file.name);
  const wanted = files.filter((file) => !isUnchanged(file));
  const isOverwriting = ({ name }: PushFile) => there.has(name) || onTheirWay.has(name);
  return {
    dataset,
    rejected,
    hidden,
    fresh: wanted.filter((file) => !isOverwriting(file)),
    overwriting: wanted.filter(isOverwriting),
    unchanged: files.length - wanted.length,
  };
}
