import type { UploadBatch, UploadFailure } from './upload-batch.js';

/** The state of the queue as a whole. */
export type QueueState =
  | 'empty'
  | 'checking'
  | 'sending'
  | 'replacing'
  | 'waiting'
  | 'paused'
  | 'signed-out'
  | 'cancelling'
  | 'stopped'
  | 'done';

/** All uploads at one moment, for display. */
export interface UploadsSnapshot {
  readonly state: QueueState;
  readonly batches: readonly BatchSnapshot[];
  readonly files: { readonly total: number; readonly uploaded: number };
  /** Excludes failed files. `sent` were sent and not acknowledged yet. */
  readonly bytes: { readonly total: number; readonly uploaded: number; readonly sent: number };
  readonly bytesPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
  readonly inFlight: UploadBatch['inFlight'];
  readonly failures: readonly UploadFailure[];
  /** Files that are stored beside the entry that they should have replaced. */
  readonly conflicts: readonly UploadFailure[];
  readonly isUnfinished: boolean;
}

interface BatchSnapshot extends Pick<UploadBatch, 'dataset' | 'phase' | 'hidden'> {
  readonly batch: UploadBatch;
  readonly files: { readonly total: number; readonly uploaded: number };
}

export function snapshotOf(
  batches: readonly UploadBatch[],
  state: { isPaused: boolean; isSignedOut: boolean; bytesPerSecond: number | undefined },
): UploadsSnapshot {
  const parts = batches.map((batch) => {
    const { dataset, phase, hidden, uploaded, remaining, failures, inFlight, sentBytes } = batch;
    const files = { total: uploaded.files + remaining.files + failures.length, uploaded: uploaded.files };
    const bytes = { total: uploaded.bytes + remaining.bytes, uploaded: uploaded.bytes, sent: sentBytes };
    return { snapshot: { batch, dataset, phase, hidden, files }, bytes, failures, inFlight };
  });
  const bytes = {
    total: sumOf(parts, (part) => part.bytes.total),
    uploaded: sumOf(parts, (part) => part.bytes.uploaded),
    sent: sumOf(parts, (part) => part.bytes.sent),
  };
  const { bytesPerSecond } = state;
  return {
    state: queueStateOf(batches, state),
    batches: parts.map(({ snapshot }) => snapshot),
    files: {
      total: sumOf(parts, ({ snapshot }) => snapshot.files.total),
      uploaded: sumOf(parts, ({ snapshot }) => snapshot.files.uploaded),
    },
    bytes,
    bytesPerSecond,
    secondsLeft: bytesPerSecond ? (bytes.total - bytes.uploaded - bytes.sent) / bytesPerSecond : undefined,
    inFlight: parts.flatMap(({ inFlight }) => inFlight),
    failures: parts.flatMap(({ failures }) => failures),
    conflicts: batches.flatMap(({ conflicts }) => conflicts),
    isUnfinished: batches.some(({ isUnfinished }) => isUnfinished),
  };
}

function queueStateOf(
  batches: readonly UploadBatch[],
  { isPaused, isSignedOut }: { isPaused: boolean; isSignedOut: boolean },
): QueueState {
  if (batches.length === 0) return 'empty';
  const states = new Set(batches.map(({ phase }) => phase.state));
  if (states.has('cancelling')) return 'cancelling';
  if (batches.some(({ isUnfinished }) => isUnfinished)) {
    if (isSignedOut) return 'signed-out';
    if (isPaused) return 'paused';
  }
  for (const state of ['sending', 'replacing', 'waiting', 'checking'] as const) if (states.has(state)) return state;
  if (states.has('queued')) return 'checking';
  return states.has('stopped') ? 'stopped' : 'done';
}

function sumOf<T>(items: readonly T[], amountOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + amountOf(item), 0);
}
