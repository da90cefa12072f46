import type { DatasetFile, TrainyardClient } from '../../../src/client/client.js';
import { stemOf } from '../../../src/dataset/media.js';
import { useDataset } from '../../live/dataset.js';
import { type Connect, newChangeId, signOutIfUnauthorized, useConnect } from '../../session/client.js';
import { recordChange } from '../../undo/recent-change.js';
import { countOf, messageOf } from '../../ui/format.js';
import { Store, warnBeforeLeaving } from '../../ui/store.js';

/** Progress is reported after each request. */
const FILES_PER_REQUEST = 100;

export interface FileToDelete {
  readonly stem: string;
  readonly filename: string;
  /** The version that the user has seen; only that one is deleted. */
  readonly etag: string;
}

export interface Deletion {
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

const IDLE: Deletion = {
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

export function useDeletion(datasetId: string): Deletion {
  return deletions.useValue(datasetId) ?? IDLE;
}

/** Whether files of a dataset are being deleted, and a function that deletes some. */
export function useDeleteFiles(datasetId: string) {
  const connect = useConnect();
  const { refetch } = useDataset(datasetId);
  const { isRunning } = useDeletion(datasetId);
  const remove = (files: readonly Pick<DatasetFile, 'filename' | 'etag'>[]) => {
    const toDelete = files.map(({ filename, etag }) => ({ stem: stemOf(filename), filename, etag }));
    void deleteFiles(toDelete, { connect, datasetId, refetch });
  };
  return { isRunning, remove };
}

interface DeletionOptions {
  readonly connect: Connect;
  readonly datasetId: string;
  /** Fetches the dataset again. */
  readonly refetch: () => Promise<unknown>;
}

/** Deletes files. One that no longer exists counts as deleted. Failures stay until `dismissFailures`. */
export async function deleteFiles(files: readonly FileToDelete[], options: DeletionOptions): Promise<void> {
  await run(files, { changeId: newChangeId(), deleted: 0 }, options);
}

/** Tries again to delete the files that could not be deleted. */
export async function retryDeletion(options: DeletionOptions): Promise<void> {
  const last = deletions.get(options.datasetId);
  if (last !== undefined) await run(last.failures, last, options);
}

async function run(
  files: readonly FileToDelete[],
  { changeId, deleted: before }: Pick<Deletion, 'changeId' | 'deleted'>,
  { connect, datasetId, refetch }: DeletionOptions,
): Promise<void> {
  if (deletions.get(datasetId)?.isRunning) return;
  const client = connect({ how: 'bulk', id: changeId });
  const stems = new Set(files.map(({ stem }) => stem));
  const failures: Deletion['failures'][number][] = [];
  const report = (done: number, isRunning: boolean) => {
    const deleted = before + done - failures.length;
    put(datasetId, { changeId, stems, total: files.length, done, isRunning, deleted, failures: [...failures] });
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
): Promise<Deletion['failures'][number][]> {
  const names = files.map(({ filename }) => filename);
  const ifMatch = Object.fromEntries(files.map(({ filename, etag }) => [filename, etag]));
  const answers = await client.bulk.removeFiles(datasetId, names, { ifMatch });
  const current = new Map(answers.map((answer) => [answer.filename, answer.current]));
  return files.flatMap((file) => {
    const etag = current.get(file.filename)?.etag;
    // A retry deletes the version that the message is about.
    return etag === undefined ? [] : { ...file, etag, reason: 'It was changed after you selected it.' };
  });
}

export function dismissFailures(datasetId: string): void {
  put(datasetId, IDLE);
}

function put(datasetId: string, deletion: Deletion): void {
  const isShown = deletion.isRunning || deletion.failures.length > 0;
  deletions.set(isShown ? deletion : undefined, datasetId);
}
