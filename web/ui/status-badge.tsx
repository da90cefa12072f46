import type { Status } from '../../src/client/client.js';

export const STATUS_CLASSES: Record<Status, string> = {
  DRAFT: 'bg-raised text-muted',
  UPLOADING: 'bg-busy-soft text-busy',
  READY: 'bg-good-soft text-good',
  FAILED: 'bg-bad-soft text-bad',
};

export function StatusBadge({ status }: { status: Status }) {
  return (
    <span className={`rounded-full px-2.5 py-0.5 text-xs font-semibold tracking-wide ${STATUS_CLASSES[status]}`}>
      {status}
    </span>
  );
}
