import { groupedBy } from '../../grouped-by.js';
import { countOf, numberOf } from '../../ui/format.js';
import type { UploadFailure } from '../queue/upload-batch.js';
import type { UploadsSnapshot } from '../queue/upload-queue.js';

/** The title of the dock: the state of all uploads in a few words. */
export function uploadsTitleOf({ state, files, failures, batches }: UploadsSnapshot): string {
  const progress = `${numberOf(files.uploaded)} of ${countOf(files.total, 'file')}`;
  switch (state) {
    case 'empty':
      return '';
    case 'checking':
      return `Comparing with the dataset, ${progress}`;
    case 'sending':
      return `Uploading, ${progress}`;
    case 'replacing':
      return `Checking what was sent, ${progress}`;
    case 'waiting':
      return `Waiting for the network, ${progress}`;
    case 'paused':
      return `Paused, ${progress}`;
    case 'signed-out':
      return `Sign in to continue your uploads, ${progress}`;
    case 'cancelling':
      return `Cancelling, ${countOf(files.total - files.uploaded - failures.length, 'pending upload')} to withdraw`;
    case 'stopped':
      return `Stopped, ${progress}`;
    case 'done': {
      const isCancelled = batches.some(({ phase }) => phase.state === 'cancelled');
      const outcome = failures.length > 0 ? `${progress} uploaded` : `${countOf(files.uploaded, 'file')} uploaded`;
      return isCancelled ? `Cancelled, ${outcome}` : outcome;
    }
  }
}

/** The text for screen readers: changes of the state, without the numbers, which change all the time. */
export function announcementOf(uploads: UploadsSnapshot): string {
  const failed =
    (uploads.failures.length > 0 ? ' Some files could not be uploaded.' : '') +
    (uploads.conflicts.length > 0 ? ' Some old files were kept.' : '');
  switch (uploads.state) {
    case 'empty':
      return '';
    case 'checking':
    case 'sending':
    case 'replacing':
      return `Uploading.${failed}`;
    case 'waiting':
      return 'Uploads are waiting for the network.';
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

/** How many uploads each dataset rejected, and lists with the reasons. */
export function rejectedByDataset(
  failures: readonly UploadFailure[],
): { readonly dataset: UploadFailure['batch']['dataset']; readonly count: number }[] {
  const listed = failures.filter(({ remedy }) => remedy === 'listed');
  const groups = groupedBy(listed, ({ batch }) => batch.dataset.id);
  return [...groups.values()].map((group) => ({ dataset: group[0]!.batch.dataset, count: group.length }));
}
