import { useEffect, useSyncExternalStore } from 'react';
import { useConnect } from '../../session/client.js';
import { recordUnfinished } from './unfinished-uploads.js';
import { UploadQueue, type UploadsSnapshot } from './upload-queue.js';

/** The only upload queue of this page. */
export const uploadQueue = new UploadQueue();

uploadQueue.subscribe(() => {
  const { isUnfinished, batches } = uploadQueue.snapshot();
  const change = isUnfinished ? addEventListener : removeEventListener;
  change('beforeunload', warn);
  recordUnfinished(batches.filter(({ batch }) => batch.isUnfinished).map(({ dataset }) => dataset.id));
});

function warn(event: Event): void {
  event.preventDefault();
}

export function useUploads(): UploadsSnapshot {
  return useSyncExternalStore(uploadQueue.subscribe, uploadQueue.snapshot);
}

/** Whether this page has files still to send to a dataset. */
export function useIsSendingTo(datasetId: string): boolean {
  return useSyncExternalStore(uploadQueue.subscribe, () =>
    uploadQueue.snapshot().batches.some(({ batch, dataset }) => dataset.id === datasetId && batch.isUnfinished),
  );
}

/** Gives the queue the client of the signed-in user while the calling component is mounted. */
export function useQueueClient(): void {
  const connect = useConnect();
  useEffect(() => {
    uploadQueue.setClient(connect());
    return () => uploadQueue.setClient(undefined);
  }, [connect]);
}
