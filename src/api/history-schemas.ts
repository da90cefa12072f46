import { z } from 'zod';
import { wireFile, wireManifest } from './schemas.js';
import { flag, text, wireCount as count, wireSha256, wireTime, wordOf } from './values.js';

/* The schemas of answers about the history of a dataset. All of it is trainyard's own. */

const revisionNumber = z.int().min(1);

export const wireRevision = z
  .object({
    number: revisionNumber.describe('Revisions of a dataset are numbered 1, 2, 3, …'),
    started_at: wireTime.describe('When its first change was made.'),
    changed_at: wireTime.describe('When its last change was made.'),
    account: text('The name of the account that made it.'),
    token: z
      .object({ id: z.string(), name: z.string() })
      .nullable()
      .meta({ description: 'The token that made it; null if it is unknown.' }),
    how: wordOf(['upload', 'delete', 'edit', 'bulk', 'push', 'restore', 'undo', 'import', 'caption']).describe(
      'upload, delete: single requests. edit: an edit on the page. bulk: one action on many files. push: `trainyard push`. restore: an earlier revision was restored. undo: the changes of a revision were reversed. import: what was there before the history began. caption: a run of captions by a model, which the name of `token` tells.',
    ),
    change_id: z.string().nullable().meta({
      description: 'The id that the client gave its changes in the header `Trainyard-Change`; null if it gave none.',
    }),
    restored_from: revisionNumber
      .nullable()
      .describe(
        'With `restore`: the revision that was restored. With `undo`: the revision whose changes were reversed.',
      ),
    added: count.describe('Files that are in this revision and not in the one before.'),
    removed: count.describe('Files that were in the revision before and are not in this one.'),
    changed: count.describe('Files of the same name and other bytes than in the revision before.'),
    files: count.describe('Files in this revision.'),
    bytes: count.describe('The size of all files in this revision.'),
    digest: wireSha256.describe('The fingerprint of its set of files, as that of a READY dataset.'),
    ready: flag('Whether these files, alone, are fit to train on.'),
    is_latest: flag('Whether its files are those that the dataset has now.'),
    pinned: z
      .object({
        at: wireTime,
        by: text('The name of the account.'),
        note: z.string().nullable(),
      })
      .nullable()
      .meta({ description: 'A pinned revision is kept until it is unpinned or the dataset is deleted.' }),
  })
  .meta({ id: 'Revision' });

export const wireRevisionPage = z
  .object({
    revisions: z.array(wireRevision).meta({ description: 'The kept revisions, newest first.' }),
    next_before: revisionNumber.nullable().describe('The `before` of the next page, `null` on the last page.'),
  })
  .meta({ id: 'RevisionPage' });

export const wireRevisionWithFiles = wireRevision
  .extend({ manifest: wireManifest.shape.files.meta({ description: 'All its files, by name.' }) })
  .meta({ id: 'RevisionWithFiles' });

const captionText = z.string().optional().meta({
  description:
    'The text of a caption of up to 64 KiB, without a byte order mark. Missing if the store has lost or changed its bytes.',
});

const wireFileWithText = wireFile.extend({ text: captionText }).meta({ id: 'FileWithText' });

export const wireRevisionDiff = z
  .object({
    from: count.describe('0 stands for no files.'),
    to: count,
    total: z
      .object({ added: count, removed: count, changed: count })
      .meta({ description: 'The numbers of files, of which this page may have a part.' }),
    added: z.array(wireFileWithText).meta({ description: 'Files of `to` whose names are not in `from`.' }),
    removed: z.array(wireFileWithText).meta({ description: 'Files of `from` whose names are not in `to`.' }),
    changed: z
      .array(
        z.object({ filename: z.string(), from: wireFile, to: wireFile, from_text: captionText, to_text: captionText }),
      )
      .meta({ description: 'Files of the same name and other bytes.' }),
    next_after: z.string().nullable().meta({
      description: 'The `after` of the next page, `null` on the last page. Pages are ordered by filename.',
    }),
  })
  .meta({ id: 'RevisionDiff' });

export const wireRestored = z
  .object({
    restored: flag('False if the dataset had exactly these files already.'),
    revision: wireRevision.describe('The latest revision, which is new if `restored` is true.'),
  })
  .meta({ id: 'Restored' });

export const wireUndone = z
  .object({
    revision: wireRevision.nullable().describe('The new revision; null if nothing was to be changed.'),
    undone: z.array(z.string()).meta({ description: 'The files that are now as before the revision, by name.' }),
    kept: z.array(z.string()).describe('The files that were changed again since, and were left as they are.'),
  })
  .meta({ id: 'Undone' });

export type WireRevision = z.infer<typeof wireRevision>;
export type WireRevisionPage = z.infer<typeof wireRevisionPage>;
export type WireRevisionWithFiles = z.infer<typeof wireRevisionWithFiles>;
export type WireRevisionDiff = z.infer<typeof wireRevisionDiff>;
