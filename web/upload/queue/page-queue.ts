import { useEffect, useSyncExternalStore } from 'react';
import { useClient } from '../../session/client.js';
import { UploadQueue } from './upload-queue.js';
import type { UploadsSnapshot } from './uploads-snapshot.js';

/** The only upload queue of this page. */
export const uploadQueue = new UploadQueue();

uploadQueue.subscribe(() => {
  const change = uploadQueue.snapshot().isUnfinished ? addEventListener : removeEventListener;
  change('beforeunload', warn);
});

function warn(event: Event): void {
  event.preventDefault();
}

export function useUploads(): UploadsSnapshot {
  return useSyncExternalStore(uploadQueue.subscribe, uploadQueue.snapshot);
}

/** Gives the queue the client of the signed-in user while the calling component is mounted. */
export function useQueueClient(): void {
  const client = useClient();
  useEffect(() => {
    uploadQueue.setClient(client);
    return () => uploadQueue.setClient(undefined);
  }, [client]);
}
