import { useEffect, useSyncExternalStore } from 'react';
import { MAX_NAMES_PER_REQUEST } from '../../../src/api/limits.js';
import { type DatasetFile, type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';

/** The text of a caption as far as it is known; `null` if it is longer than 64 KiB, which the service does not return. */
export type TextState =
  | { readonly state: 'loading' }
  | { readonly state: 'read'; readonly text: string | null }
  | { readonly state: 'failed'; readonly error: unknown };

/** Captions that scroll into view within this time share one request. */
const BATCH_MS = 16;

const LOADING: TextState = { state: 'loading' };

interface TextQueue {
  readonly client: TrainyardClient;
  /** Captions to read, by filename, each with the number of fields that wait for it. */
  readonly files: Map<string, { readonly file: DatasetFile; waiting: number }>;
  isReading: boolean;
}

// By SHA-256, so that only changed texts are read after a dataset is fetched again.
const states = new Map<string, TextState>();
const listeners = new Map<string, Set<() => void>>();
const queues = new Map<string, TextQueue>();

export function textStateOf(sha256: string): TextState {
  return states.get(sha256) ?? LOADING;
}

/** Records a text that is known without a request, such as one that was just saved. */
export function rememberText(sha256: string, text: string | null): void {
  setState(sha256, { state: 'read', text });
}

/** Reads the text of a rendered caption. `retry` reads it again after a failure. */
export function useText(datasetId: string, file: DatasetFile | undefined): { state: TextState; retry: () => void } {
  const client = useClient();
  const sha256 = file?.sha256 ?? '';
  const state = useSyncExternalStore(
    (listener) => listen(sha256, listener),
    () => textStateOf(sha256),
  );
  const isRead = state.state === 'read';
  useEffect(() => {
    if (file !== undefined && !isRead) return enqueue(client, datasetId, file);
  }, [client, datasetId, file, isRead]);
  const retry = () => {
    if (file === undefined) return;
    setState(file.sha256, LOADING);
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

/** Queues a text to be read. The returned function removes it again, for a field that scrolls out of view. */
function enqueue(client: TrainyardClient, datasetId: string, file: DatasetFile): () => void {
  let queue = queues.get(datasetId);
  if (queue?.client !== client) {
    queue = { client, files: new Map(), isReading: false };
    queues.set(datasetId, queue);
  }
  const entry = queue.files.get(file.filename);
  const own = entry?.file.sha256 === file.sha256 ? entry : { file, waiting: 0 };
  own.waiting++;
  queue.files.set(file.filename, own);
  if (!queue.isReading) {
    queue.isReading = true;
    setTimeout(() => void readQueued(datasetId, queue), BATCH_MS);
  }
  const { files } = queue;
  return () => dequeue(files, own);
}

function dequeue(files: TextQueue['files'], own: { readonly file: DatasetFile; waiting: number }): void {
  own.waiting--;
  if (own.waiting === 0 && files.get(own.file.filename) === own) files.delete(own.file.filename);
}

async function readQueued(datasetId: string, queue: TextQueue): Promise<void> {
  while (queue.files.size > 0) {
    const files = [...queue.files.values()].slice(0, MAX_NAMES_PER_REQUEST).map(({ file }) => file);
    for (const { filename } of files) queue.files.delete(filename);
    await readBatch(queue.client, datasetId, files);
  }
  queue.isReading = false;
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
    if (signal?.aborted !== true) for (const { sha256 } of files) setState(sha256, { state: 'failed', error });
    return error;
  }
}

/** Whether an error is about one missing or damaged caption, and not about the whole dataset. */
function isOfOneFile(error: unknown): boolean {
  return error instanceof TrainyardError && [404, 409].includes(error.status) && error.code !== 'dataset_not_found';
}

function setState(sha256: string, state: TextState): void {
  states.set(sha256, state);
  for (const listener of listeners.get(sha256) ?? []) listener();
}

function listen(sha256: string, listener: () => void): () => void {
  const own = listeners.get(sha256) ?? new Set();
  listeners.set(sha256, own.add(listener));
  return () => {
    own.delete(listener);
    if (own.size === 0) listeners.delete(sha256);
  };
}
