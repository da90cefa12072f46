import type { DatasetFile, TrainyardClient } from '../../../src/client/client.js';
import { stemOf } from '../../../src/dataset/media.js';
import { useDataset } from '../../live/dataset.js';
import { type Connect, newChangeId, signOutIfUnauthorized, useConnect } from '../../session/client.js';
import { countOf, messageOf } from '../../ui/format.js';
import { Store, warnBeforeLeaving } from '../../ui/store.js';
import { recordChange } from '../../undo/recent-change.js';

/** Progress is reported after each request. */
const FILES_PER_REQUEST = 100;

/** A file as the user has seen it; only that version is deleted. */
type FileToDelete = Pick<DatasetFile, 'filename' | 'etag'>;

interface Deletion {
  /** Groups the deletions and their retries in the history of the dataset. */
  readonly changeId: string;
  readonly stems: ReadonlySet<string>;
  readonly total: number;
  readonly done: number;
  readonly isRunning: boolean;
  /** Number of files that were deleted. */
  readonly deleted: number;
  readonly failures: readonly (FileToDelete & { readonly reason: string })[];
}

const NONE: Deletion = {
  changeId: '',
  stems: new Set(),
  total: 0,
  done: 0,
  isRunning: false,
  deleted: 0,
  failures: [],
};

const deletions = new Store<Deletion>();

warnBeforeLeaving(() => deletions.values().some(({ isRunning }) => isRunning));

/** The deletion of files of a dataset that runs, or what the last one could not delete. */
export function useDeletion(datasetId: string) {
  const connect = useConnect();
  const { refetch } = useDataset(datasetId);
  const deletion = deletions.useValue(datasetId) ?? NONE;
  const options = { connect, datasetId, refetch };
  return {
    ...deletion,
    /** Deletes files. One that no longer exists counts as deleted. */
    remove: (files: readonly FileToDelete[]) => void run(files, { changeId: newChangeId(), deleted: 0 }, options),
    retry: () => void run(deletion.failures, deletion, options),
    dismiss: () => deletions.set(undefined, datasetId),
  };
}

interface DeletionOptions {
  readonly connect: Connect;
  readonly datasetId: string;
  /** Fetches the dataset again. */
  readonly refetch: () => Promise<unknown>;
}

async function run(
  files: readonly FileToDelete[],
  { changeId, deleted: before }: Pick<Deletion, 'changeId' | 'deleted'>,
  { connect, datasetId, refetch }: DeletionOptions,
): Promise<void> {
  if (deletions.get(datasetId)?.isRunning) return;
  const client = connect({ how: 'bulk', id: changeId });
  const stems = new Set(files.map(({ filename }) => stemOf(filename)));
  const failures: Deletion['failures'][number][] = [];
  const report = (done: number, isRunning: boolean) => {
    const deleted = before + done - failures.length;
    const deletion = { changeId, stems, total: files.length, done, isRunning, deleted, failures: [...failures] };
    deletions.set(isRunning || failures.length > 0 ? deletion : undefined, datasetId);
    // After each request, so that what was deleted can be undone after a reload too.
    if (done > 0 && deleted > 0) {
      const text = `${countOf(deleted, 'file')} deleted.`;
      recordChange(datasetId, { text, made: { changeId }, isUnfinished: isRunning });
    }
  };
  report(0, true);
  for (let start = 0; start < files.length; start += FILES_PER_REQUEST) {
    const slice = files.slice(start, start + FILES_PER_REQUEST);
    try {
      failures.push(...(await deleteSlice(client, datasetId, slice)));
    } catch (error) {
      // The others would fail as well.
      failures.push(...files.slice(start).map((file) => ({ ...file, reason: messageOf(error) })));
      signOutIfUnauthorized(error);
      break;
    }
    report(start + slice.length, true);
  }
  report(files.length, true);
  await refetch();
  report(files.length, false);
}

async function deleteSlice(
  client: TrainyardClient,
  datasetId: string,
  files: readonly FileToDelete[],
): Promise<Deletion['failures']> {
  const names = files.map(({ filename }) => filename);
  const ifMatch = Object.fromEntries(files.map(({ filename, etag }) => [filename, etag]));
  const answers = await client.bulk.removeFiles(datasetId, names, { ifMatch });
  // A retry deletes the version that the message is about.
  return answers.flatMap(({ filename, current }) =>
    current ? { filename, etag: current.etag, reason: 'It was changed after you selected it.' } : [],
  );
}
