import { useEffect, useSyncExternalStore } from 'react';
import { useClient } from '../../session/client.js';
import { UploadQueue } from './upload-queue.js';
import type { UploadsSnapshot } from './uploads-snapshot.js';

/** The one of this page. */
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

/** Lets the queue work as whoever is signed in, for as long as they are. */
export function useQueueClient(): void {
  const client = useClient();
  useEffect(() => {
    uploadQueue.setClient(client);
    return () => uploadQueue.setClient(undefined);
  }, [client]);
}
