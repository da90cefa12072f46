import { useEffect, useSyncExternalStore } from 'react';
import { useClient } from '../../session/client.js';
import { UploadQueue } from './upload-queue.js';
import type { Uploads } from './uploads.js';

/** The one of this page. */
export const queue = new UploadQueue();

queue.subscribe(() => {
  const change = queue.uploads().isUnfinished ? addEventListener : removeEventListener;
  change('beforeunload', warn);
});

function warn(event: Event): void {
  event.preventDefault();
}

export function useUploads(): Uploads {
  return useSyncExternalStore(queue.subscribe, queue.uploads);
}

/** Lets the queue work as whoever is signed in, for as long as they are. */
export function useQueueAtWork(): void {
  const client = useClient();
  useEffect(() => {
    queue.use(client);
    return () => queue.use(undefined);
  }, [client]);
}
