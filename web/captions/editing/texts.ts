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

/** The captions to read, by dataset and filename. */
const queues = new Map<string, Map<string, DatasetFile>>();

export function textStateOf(sha256: string): TextState {
  return texts.get(sha256) ?? LOADING;
}

/** Records a text that is known without a request, such as one that was just saved. */
export function rememberText(sha256: string, text: string | null): void {
  texts.set({ state: 'read', text }, sha256);
}

/** Reads the text of a rendered caption. `retry` reads it again after a failure. */
export function useText(datasetId: string, file: DatasetFile | undefined): { state: TextState; retry: () => void } {
  const client = useClient();
  const state = texts.useValue(file?.sha256 ?? '') ?? LOADING;
  const isRead = state.state === 'read';
  useEffect(() => {
    if (file !== undefined && !isRead) enqueue(client, datasetId, file);
  }, [client, datasetId, file, isRead]);
  const retry = () => {
    if (file === undefined) return;
    texts.set(LOADING, file.sha256);
    enqueue(client, datasetId, file);
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
    const failure = await readBatch(client, datasetId, unknown.slice(from, from + MAX_NAMES_PER_REQUEST), signal);
    // The field of a single caption shows its own failure.
    if (failure !== undefined && !isOfOneFile(failure)) throw failure;
  }
  onProgress(files.length);
}

/** Reads a text with others that are asked for at the same time, or while these are being read. */
function enqueue(client: TrainyardClient, datasetId: string, file: DatasetFile): void {
  const queue = queues.get(datasetId) ?? new Map<string, DatasetFile>();
  queue.set(file.filename, file);
  if (queues.has(datasetId)) return;
  queues.set(datasetId, queue);
  setTimeout(() => void readQueued(client, datasetId, queue), BATCH_MS);
}

async function readQueued(client: TrainyardClient, datasetId: string, queue: Map<string, DatasetFile>): Promise<void> {
  while (queue.size > 0) {
    const files = [...queue.values()].slice(0, MAX_NAMES_PER_REQUEST);
    for (const { filename } of files) queue.delete(filename);
    await readBatch(client, datasetId, files);
  }
  queues.delete(datasetId);
}

/**
 * Reads texts in one request. If a single caption makes it fail, halves the batch until only that one fails.
 *
 * @returns why some texts could not be read; `undefined` if all were
 */
async function readBatch(
  client: TrainyardClient,
  datasetId: string,
  files: readonly DatasetFile[],
  signal?: AbortSignal,
): Promise<unknown> {
  try {
    const names = files.map(({ filename }) => filename);
    // If a caption has changed since, its hash differs from `files`. The next fetch of the dataset has that hash too.
    for (const { sha256, text } of await client.bulk.captions(datasetId, names, { signal })) rememberText(sha256, text);
    return undefined;
  } catch (error) {
    if (isOfOneFile(error) && files.length > 1) {
      const half = Math.ceil(files.length / 2);
      const first = await readBatch(client, datasetId, files.slice(0, half), signal);
      return (await readBatch(client, datasetId, files.slice(half), signal)) ?? first;
    }
    if (signal?.aborted !== true) for (const { sha256 } of files) texts.set({ state: 'failed', error }, sha256);
    return error;
  }
}

/** Whether an error is about one missing or damaged caption, and not about the whole dataset. */
function isOfOneFile(error: unknown): boolean {
  return error instanceof TrainyardError && [404, 409].includes(error.status) && error.code !== 'dataset_not_found';
}
