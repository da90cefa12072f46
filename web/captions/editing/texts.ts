import { useEffect } from 'react';
import { MAX_NAMES_PER_REQUEST } from '../../../src/api/limits.js';
import { type DatasetFile, type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';
import { Store } from '../../ui/store.js';

/** The text of a caption as far as it is known; `null` if it is longer than 64 KiB, which the service does not return. */
export type TextState =
  | { readonly state: 'loading' }
  | { readonly state: 'read'; readonly text: string | null }
  | { readonly state: 'failed'; readonly error: unknown };

/** Captions that scroll into view within this time share one request. */
const BATCH_MS = 16;

const LOADING: TextState = { state: 'loading' };

// By SHA-256, so that only changed texts are read after a dataset is fetched again.
const texts = new Store<TextState>();

/** Where captions are read: in a dataset as it is now, or as it was in a revision. */
type TextSource = readonly [datasetId: string, revision?: number | undefined];

/** The captions to read of each source, by filename, with the client of the user who is signed in now. */
const queues = new Map<string, { client: TrainyardClient; readonly files: Map<string, DatasetFile> }>();

export function textStateOf(sha256: string): TextState {
  return texts.get(sha256) ?? LOADING;
}

/** Records a text that is known without a request, such as one that was just saved. */
export function rememberText(sha256: string, text: string | null): void {
  texts.set({ state: 'read', text }, sha256);
}

/** Reads the text of a rendered caption. `retry` reads it again after a failure. */
export function useText(datasetId: string, file: DatasetFile | undefined, revision?: number) {
  const client = useClient();
  const state = texts.useValue(file?.sha256 ?? '') ?? LOADING;
  const isRead = state.state === 'read';
  useEffect(() => {
    if (file !== undefined && !isRead) enqueue(client, [datasetId, revision], file);
  }, [client, datasetId, revision, file, isRead]);
  const retry = () => {
    if (file === undefined) return;
    texts.set(LOADING, file.sha256);
    enqueue(client, [datasetId, revision], file);
  };
  return { state, retry };
}

/** Reads the texts of many captions, except those that are known. Reports after each request how many are known. */
export async function readTexts(
  client: TrainyardClient,
  datasetId: string,
  files: readonly DatasetFile[],
  { signal, onProgress }: { signal: AbortSignal; onProgress: (known: number) => void },
): Promise<void> {
  const unknown = files.filter(({ sha256 }) => textStateOf(sha256).state !== 'read');
  for (let from = 0; from < unknown.length; from += MAX_NAMES_PER_REQUEST) {
    onProgress(files.length - unknown.length + from);
    const failure = await readBatch(client, [datasetId], unknown.slice(from, from + MAX_NAMES_PER_REQUEST), signal);
    // The field of a single caption shows its own failure.
    if (failure !== undefined && !isOfOneFile(failure)) throw failure;
  }
  onProgress(files.length);
}

/** Reads a text with others that are asked for at the same time, or while these are being read. */
function enqueue(client: TrainyardClient, source: TextSource, file: DatasetFile): void {
  const key = JSON.stringify(source);
  const queue = queues.get(key) ?? { client, files: new Map<string, DatasetFile>() };
  queue.client = client;
  queue.files.set(file.filename, file);
  if (queues.has(key)) return;
  queues.set(key, queue);
  const readQueued = async () => {
    while (queue.files.size > 0) {
      const files = [...queue.files.values()].slice(0, MAX_NAMES_PER_REQUEST);
      for (const { filename } of files) queue.files.delete(filename);
      await readBatch(queue.client, source, files);
    }
    queues.delete(key);
  };
  setTimeout(() => void readQueued(), BATCH_MS);
}

/**
 * Reads texts in one request. If a single caption makes it fail, halves the batch until only that one fails.
 *
 * @returns why some texts could not be read; `undefined` if all were
 */
async function readBatch(
  client: TrainyardClient,
  source: TextSource,
  files: readonly DatasetFile[],
  signal?: AbortSignal,
): Promise<unknown> {
  const [datasetId, revision] = source;
  const options = { signal, ...(revision !== undefined && { revision }) };
  try {
    const names = files.map(({ filename }) => filename);
    // If a caption has changed since, its hash differs from `files`. The next fetch of the dataset has that hash too.
    const captions = await client.bulk.captions(datasetId, names, options);
    for (const { sha256, text } of captions) rememberText(sha256, text);
    return undefined;
  } catch (error) {
    if (isOfOneFile(error) && files.length > 1) {
      const half = Math.ceil(files.length / 2);
      const first = await readBatch(client, source, files.slice(0, half), signal);
      return (await readBatch(client, source, files.slice(half), signal)) ?? first;
    }
    // Another request may have read some of them.
    const unread = files.filter(({ sha256 }) => textStateOf(sha256).state !== 'read');
    if (signal?.aborted !== true) for (const { sha256 } of unread) texts.set({ state: 'failed', error }, sha256);
    return error;
  }
}

/** Whether an error is about one missing or damaged caption, and not about the whole dataset. */
function isOfOneFile(error: unknown): boolean {
  return error instanceof TrainyardError && [404, 409].includes(error.status) && error.code !== 'dataset_not_found';
}
