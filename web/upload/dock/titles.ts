import { countOf, numberOf } from '../../ui/format.js';
import type { UploadsSnapshot } from '../queue/upload-queue.js';

/** The title of the dock, before the number of files. */
const TITLES = {
  checking: 'Comparing with the dataset',
  sending: 'Uploading',
  replacing: 'Checking what was sent',
  waiting: 'Waiting for the network',
  paused: 'Paused',
  'signed-out': 'Sign in to continue your uploads',
  stopped: 'Stopped',
} as const;

/** What a screen reader says while the numbers of the title change. */
const ANNOUNCEMENTS: Partial<Record<UploadsSnapshot['state'], string>> = {
  empty: '',
  checking: 'Uploading.',
  sending: 'Uploading.',
  replacing: 'Uploading.',
  waiting: 'Uploads are waiting for the network.',
  paused: 'Uploads are paused.',
  cancelling: 'Uploads are being cancelled.',
};

/** The title of the dock: the state of all uploads in a few words. */
export function uploadsTitleOf({ state, files, failures, batches }: UploadsSnapshot): string {
  const progress = `${numberOf(files.uploaded)} of ${countOf(files.total, 'file')}`;
  if (state === 'empty') return '';
  if (state === 'cancelling') {
    return `Cancelling, ${countOf(files.total - files.uploaded - failures.length, 'pending upload')} to withdraw`;
  }
  if (state !== 'done') return `${TITLES[state]}, ${progress}`;
  const isCancelled = batches.some(({ phase }) => phase.state === 'cancelled');
  const outcome = failures.length > 0 ? `${progress} uploaded` : `${countOf(files.uploaded, 'file')} uploaded`;
  return isCancelled ? `Cancelled, ${outcome}` : outcome;
}

/** The text for screen readers: changes of the state, without the numbers, which change all the time. */
export function announcementOf(uploads: UploadsSnapshot): string {
  const { state, failures, conflicts } = uploads;
  return [
    ANNOUNCEMENTS[state] ?? uploadsTitleOf(uploads),
    failures.length > 0 && 'Some files could not be uploaded.',
    conflicts.length > 0 && 'Some old files were kept.',
  ]
    .filter(Boolean)
    .join(' ');
}
