import type { LostBlob } from './copy-blobs.js';

/** Why catalog and bytes were not brought over; the message is for a person. */
export type TransferErrorCode = 'not_found' | 'occupied' | 'in_use' | 'same_place' | 'changed' | 'lost';

export class TransferError extends Error {
  readonly code: TransferErrorCode;
  /** Of `lost`: which files. */
  readonly lost: readonly LostBlob[];

  constructor(code: TransferErrorCode, message: string, options: ErrorOptions & { lost?: readonly LostBlob[] } = {}) {
    super(message, options);
    this.name = 'TransferError';
    this.code = code;
    this.lost = options.lost ?? [];
  }
}
