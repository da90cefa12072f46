import { countOf, numberOf } from '../../ui/format.js';
import type { UploadsSnapshot } from '../queue/uploads-snapshot.js';

/** What is going on, in a few words. */
export function uploadsTitleOf({ state, files, failures, batches }: UploadsSnapshot): string {
  const progress = `${numberOf(files.arrived)} of ${countOf(files.total, 'file')}`;
  switch (state) {
    case 'nothing':
      return '';
    case 'checking':
      return `Looking at what is there already, ${progress}`;
    case 'sending':
      return `Uploading, ${progress}`;
    case 'waiting':
      return `Waiting for the network, ${progress}`;
    case 'paused':
      return `Paused, ${progress}`;
    case 'signed-out':
      return `Uploads go on once you have signed in, ${progress}`;
    case 'cancelling':
      return `Cancelling, ${countOf(files.total - files.arrived - failures.length, 'promise')} to withdraw`;
    case 'stopped':
      return `Stopped, ${progress}`;
    case 'done': {
      const isCancelled = batches.some(({ phase }) => phase.state === 'cancelled');
      const outcome = failures.length > 0 ? `${progress} uploaded` : `${countOf(files.arrived, 'file')} uploaded`;
      return isCancelled ? `Cancelled, ${outcome}` : outcome;
    }
  }
}

/** For those who hear the page: what has begun, failed or ended, and no numbers that change all the time. */
export function announcementOf(uploads: UploadsSnapshot): string {
  const failed = uploads.failures.length > 0 ? ' Some files could not be uploaded.' : '';
  switch (uploads.state) {
    case 'nothing':
      return '';
    case 'checking':
    case 'sending':
      return `Uploading.${failed}`;
    case 'waiting':
      return 'Uploads wait for the network.';
    case 'paused':
      return 'Uploads are paused.';
    case 'cancelling':
      return 'Uploads are being cancelled.';
    case 'stopped':
    case 'signed-out':
    case 'done':
      return uploadsTitleOf(uploads) + failed;
  }
}
