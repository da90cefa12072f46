import type { FieldProblem, ErrorCode } from '../../../dataset/errors.js';
import type { Database } from '../../database/database.js';
import { type ChangedDatasetKey, eraseDataset } from '../dataset-changes.js';
import type { ChangeOptions } from '../file-changes.js';
import { type LinkReplacement, replaceLinksLocked } from '../pairs/replace-links.js';
import { restoreRevision } from './restore-revision.js';
import type { RevisionOfDataset } from './revision-of-dataset.js';
import { undoRevision } from './undo-revision.js';

/** The changes of all files of a dataset. What each is given can be passed to another thread, apart from `notification`. */
export const LONG_CHANGES = {
  eraseDataset: (db: Database, { key, ...options }: { key: ChangedDatasetKey } & Parameters<typeof eraseDataset>[2]) =>
    eraseDataset(db, key, options),
  restoreRevision: (db: Database, { revision, ...options }: { revision: RevisionOfDataset } & ChangeOptions) =>
    restoreRevision(db, revision, options),
  undoRevision: (db: Database, { revision, ...options }: { revision: RevisionOfDataset } & ChangeOptions) =>
    undoRevision(db, revision, options),
  replaceLinks: (
    db: Database,
    { key, replacement, ...options }: { key: ChangedDatasetKey; replacement: LinkReplacement } & ChangeOptions,
  ) => replaceLinksLocked(db, key, replacement, options),
};

export type LongChangeName = keyof typeof LONG_CHANGES;

/** What a change is given besides the database. */
export type LongChangeOptions<Name extends LongChangeName> = Parameters<(typeof LONG_CHANGES)[Name]>[1];

/** What a change returns. */
export type LongChangeResult<Name extends LongChangeName> = Awaited<ReturnType<(typeof LONG_CHANGES)[Name]>>;

/** What the thread of a change is given. */
export interface LongChangeJob {
  /** Of the SQLite file. */
  readonly path: string;
  readonly name: LongChangeName;
  readonly datasetId: string;
  readonly options: object;
}

/** What the thread of a change answers. A `ServiceError` would lose its code on the way. */
export type LongChangeAnswer =
  | { readonly result: unknown }
  | {
      readonly serviceError: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly detail: readonly FieldProblem[];
      };
    }
  | { readonly error: unknown };
