import { useEffect, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import type { Pair } from '../live/pairs.js';
import { useClient } from '../session/client.js';
import { readTexts, textStateOf } from './editing/texts.js';

/** Reads the texts of all captions, and reads changed ones again; none while `pairs` is `undefined`. */
export function useReadPairs(datasetId: string, pairs: readonly Pair[] | undefined) {
  const client = useClient();
  const [read, setRead] = useState<readonly Pair[]>();
  const [known, setKnown] = useState(0);
  const [error, setError] = useState<Error | null>(null);
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt reads again
  useEffect(() => {
    if (pairs === undefined) return;
    const reading = new AbortController();
    const { signal } = reading;
    const files = pairs.flatMap(({ caption }) => caption ?? []);
    const onProgress = (known: number) => !signal.aborted && setKnown(known);
    setError(null);
    readTexts(client, datasetId, files, { signal, onProgress }).then(
      () => !signal.aborted && setRead(pairs),
      (error) => !signal.aborted && setError(error),
    );
    return () => reading.abort();
  }, [client, datasetId, pairs, attempt]);
  return {
    /** The latest pairs whose texts have all been read. */
    pairs: read,
    /** The number of current captions whose text has been read. */
    known,
    error,
    isWanted: pairs !== undefined,
    retry: () => setAttempt(attempt + 1),
  };
}

export type ReadPairs = ReturnType<typeof useReadPairs>;

/** The text of a caption; `undefined` if it has not been read or is too long. */
export function textOf({ sha256 }: DatasetFile): string | undefined {
  const state = textStateOf(sha256);
  return state.state === 'read' ? (state.text ?? undefined) : undefined;
}
