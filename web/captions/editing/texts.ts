import { useEffect, useSyncExternalStore } from 'react';
import { MAX_NAMES_PER_REQUEST } from '../../../src/api/limits.js';
import { type DatasetFile, type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { useClient } from '../../session/client.js';

/** What is known of the text of a caption; `null` is one of more than 64 KiB, which the service does not give. */
export type TextState =
  | { readonly state: 'loading' }
  | { readonly state: 'read'; readonly text: string | null }
  | { readonly state: 'failed'; readonly error: unknown };

/** Within so many milliseconds, those that come into sight are asked for together. */
const GATHERING_MS = 16;

const LOADING: TextState = { state: 'loading' };

interface Wanted {
  readonly client: TrainyardClient;
  /** Those that still want to be shown, by name, and by how many. */
  readonly files: Map<string, { readonly file: DatasetFile; askers: number }>;
  isUnderWay: boolean;
}

/*
 * Texts are kept by their SHA-256, so that of a dataset that was asked for again only those are read that have changed.
 */
const readings = new Map<string, TextState>();
const listeners = new Map<string, Set<() => void>>();
const wanted = new Map<string, Wanted>();

export function textStateOf(sha256: string): TextState {
  return readings.get(sha256) ?? LOADING;
}

/** Keeps a text that is known without asking, such as one that was just saved. */
export function rememberText(sha256: string, text: string | null): void {
  tell(sha256, { state: 'read', text });
}

/** The text of a caption in sight; `retry` asks again where it could not be read. */
export function useText(datasetId: string, file: DatasetFile | undefined): { reading: TextState; retry: () => void } {
  const client = useClient();
  const sha256 = file?.sha256 ?? '';
  const reading = useSyncExternalStore(
    (listener) => listen(sha256, listener),
    () => textStateOf(sha256),
  );
  const isRead = reading.state === 'read';
  useEffect(() => {
    if (file !== undefined && !isRead) return ask(client, datasetId, file);
  }, [client, datasetId, file, isRead]);
  const retry = () => {
    if (file === undefined) return;
    tell(file.sha256, LOADING);
    ask(client, datasetId, file);
  };
  return { reading, retry };
}

/** Reads what is not known yet of many captions, telling after each request how many of them are known. */
export async function readTexts(
  client: TrainyardClient,
  datasetId: string,
  files: readonly DatasetFile[],
  { signal, onProgress }: { signal: AbortSignal; onProgress: (known: number) => void },
): Promise<void> {
  const unknown = files.filter(({ sha256 }) => textStateOf(sha256).state !== 'read');
  for (let from = 0; from < unknown.length; from += MAX_NAMES_PER_REQUEST) {
    onProgress(files.length - unknown.length + from);
    const failure = await readSome(client, datasetId, unknown.slice(from, from + MAX_NAMES_PER_REQUEST), signal);
    // What is wrong with a single one is said in its field.
    if (failure !== undefined && !isOfOneFile(failure)) throw failure;
  }
  onProgress(files.length);
}

/** Wants a text until the returned function is called: what has gone out of sight before it is asked for is left out. */
function ask(client: TrainyardClient, datasetId: string, file: DatasetFile): () => void {
  let queue = wanted.get(datasetId);
  if (queue?.client !== client) {
    queue = { client, files: new Map(), isUnderWay: false };
    wanted.set(datasetId, queue);
  }
  const entry = queue.files.get(file.filename);
  const own = entry?.file.sha256 === file.sha256 ? entry : { file, askers: 0 };
  own.askers++;
  queue.files.set(file.filename, own);
  if (!queue.isUnderWay) {
    queue.isUnderWay = true;
    const { files } = queue;
    setTimeout(() => void readWanted(datasetId, queue), GATHERING_MS);
    return () => forget(files, own);
  }
  const { files } = queue;
  return () => forget(files, own);
}

function forget(files: Wanted['files'], own: { readonly file: DatasetFile; askers: number }): void {
  own.askers--;
  if (own.askers === 0 && files.get(own.file.filename) === own) files.delete(own.file.filename);
}

async function readWanted(datasetId: string, queue: Wanted): Promise<void> {
  while (queue.files.size > 0) {
    const files = [...queue.files.values()].slice(0, MAX_NAMES_PER_REQUEST).map(({ file }) => file);
    for (const { filename } of files) queue.files.delete(filename);
    await readSome(queue.client, datasetId, files);
  }
  queue.isUnderWay = false;
}

/** Reads them in one request; where one of them spoils that, the others are read without it. Returns why some were not. */
async function readSome(
  client: TrainyardClient,
  datasetId: string,
  files: readonly DatasetFile[],
  signal?: AbortSignal,
): Promise<unknown> {
  try {
    const names = files.map(({ filename }) => filename);
    // One that has changed since has another hash, by which the dataset will tell of it in a moment.
    for (const { sha256, text } of await client.captions(datasetId, names, { signal })) rememberText(sha256, text);
    return undefined;
  } catch (error) {
    if (isOfOneFile(error) && files.length > 1) {
      const half = Math.ceil(files.length / 2);
      const first = await readSome(client, datasetId, files.slice(0, half), signal);
      return (await readSome(client, datasetId, files.slice(half), signal)) ?? first;
    }
    if (signal?.aborted !== true) for (const { sha256 } of files) tell(sha256, { state: 'failed', error });
    return error;
  }
}

/** Not there any more, or damaged: nothing that would be wrong with all of them, as where the dataset is gone. */
function isOfOneFile(error: unknown): boolean {
  return error instanceof TrainyardError && [404, 409].includes(error.status) && error.code !== 'dataset_not_found';
}

function tell(sha256: string, reading: TextState): void {
  readings.set(sha256, reading);
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
