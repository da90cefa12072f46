import type { UploadBatch, UploadFailure } from './upload-batch.js';

/** What all uploads together are doing. */
export type QueueState =
  | 'nothing'
  | 'checking'
  | 'sending'
  | 'waiting'
  | 'paused'
  | 'signed-out'
  | 'cancelling'
  | 'stopped'
  | 'done';

/** A picture of all uploads as they are at a moment. */
export interface UploadsSnapshot {
  readonly state: QueueState;
  readonly batches: readonly BatchSnapshot[];
  readonly files: { readonly total: number; readonly arrived: number };
  /** Without those of failed files. `sent` have left, and nobody has said yet that they arrived. */
  readonly bytes: { readonly total: number; readonly arrived: number; readonly sent: number };
  readonly bytesPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
  readonly inFlight: UploadBatch['inFlight'];
  readonly failures: readonly UploadFailure[];
  readonly isUnfinished: boolean;
}

interface BatchSnapshot extends Pick<UploadBatch, 'dataset' | 'phase' | 'hidden'> {
  readonly batch: UploadBatch;
  readonly files: { readonly total: number; readonly arrived: number };
}

export function snapshotOf(
  batches: readonly UploadBatch[],
  state: { isPaused: boolean; isSignedOut: boolean; bytesPerSecond: number | undefined },
): UploadsSnapshot {
  const parts = batches.map((batch) => {
    const { dataset, phase, hidden, uploaded: arrived, remaining: left, failures, inFlight, sentBytes } = batch;
    const files = { total: arrived.files + left.files + failures.length, arrived: arrived.files };
    const bytes = { total: arrived.bytes + left.bytes, arrived: arrived.bytes, sent: sentBytes };
    return { picture: { batch, dataset, phase, hidden, files }, bytes, failures, inFlight };
  });
  const bytes = {
    total: sumOf(parts, (part) => part.bytes.total),
    arrived: sumOf(parts, (part) => part.bytes.arrived),
    sent: sumOf(parts, (part) => part.bytes.sent),
  };
  const { bytesPerSecond } = state;
  return {
    state: queueStateOf(batches, state),
    batches: parts.map(({ picture }) => picture),
    files: {
      total: sumOf(parts, ({ picture }) => picture.files.total),
      arrived: sumOf(parts, ({ picture }) => picture.files.arrived),
    },
    bytes,
    bytesPerSecond,
    secondsLeft: bytesPerSecond ? (bytes.total - bytes.arrived - bytes.sent) / bytesPerSecond : undefined,
    inFlight: parts.flatMap(({ inFlight }) => inFlight),
    failures: parts.flatMap(({ failures }) => failures),
    isUnfinished: batches.some(({ isUnfinished }) => isUnfinished),
  };
}

function queueStateOf(
  batches: readonly UploadBatch[],
  { isPaused, isSignedOut }: { isPaused: boolean; isSignedOut: boolean },
): QueueState {
  if (batches.length === 0) return 'nothing';
  const states = new Set(batches.map(({ phase }) => phase.state));
  if (states.has('cancelling')) return 'cancelling';
  if (batches.some(({ isUnfinished }) => isUnfinished)) {
    if (isSignedOut) return 'signed-out';
    if (isPaused) return 'paused';
  }
  for (const state of ['sending', 'waiting', 'checking'] as const) if (states.has(state)) return state;
  if (states.has('queued')) return 'checking';
  return states.has('stopped') ? 'stopped' : 'done';
}

function sumOf<T>(items: readonly T[], amountOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + amountOf(item), 0);
}
