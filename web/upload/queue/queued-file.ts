import type { DatasetWithFiles, PushFile } from '../../../src/client/client.js';
import type { ReplacedEntry } from './replace-entry.js';

/** A file to upload, which may take the place of an entry of another name. */
export interface QueuedFile extends PushFile {
  /** The version of its name that it replaces; `null`: there is none. Without it: the one that is there when it is sent. */
  readonly etag?: string | null | undefined;
  readonly replaces?: ReplacedEntry;
}

/** By filename, the versions of the stored files of a dataset, damaged ones included. */
export function etagsIn({ files, damaged = [] }: DatasetWithFiles): ReadonlyMap<string, string | undefined> {
  return new Map([...files, ...damaged].map(({ filename, etag }) => [filename, etag]));
}
