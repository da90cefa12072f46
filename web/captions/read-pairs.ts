import { useEffect, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import type { Pair } from '../live/pairs.js';
import { useClient } from '../session/client.js';
import { textStateOf, readTexts } from './editing/texts.js';

export interface ReadPairs {
  /** The pairs whose texts have all been read; those of a moment ago while a few new ones are read. */
  readonly pairs: readonly Pair[] | undefined;
  /** Of the captions now, how many have been read. */
  readonly known: number;
  readonly error: unknown;
  readonly retry: () => void;
}

/** Reads the texts of all captions, and those that have changed as they do. */
export function useReadPairs(datasetId: string, pairs: readonly Pair[]): ReadPairs {
  const client = useClient();
  const [read, setRead] = useState<readonly Pair[]>();
  const [known, setKnown] = useState(0);
  const [error, setError] = useState<unknown>();
  const [tries, setTries] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a further try is one more reason
  useEffect(() => {
    const reading = new AbortController();
    const { signal } = reading;
    const files = pairs.flatMap(({ caption }) => caption ?? []);
    const onProgress = (known: number) => !signal.aborted && setKnown(known);
    setError(undefined);
    readTexts(client, datasetId, files, { signal, onProgress }).then(
      () => !signal.aborted && setRead(pairs),
      (error) => !signal.aborted && setError(error),
    );
    return () => reading.abort();
  }, [client, datasetId, pairs, tries]);
  return { pairs: read, known, error, retry: () => setTries(tries + 1) };
}

/** A text that has been read; `undefined` where it could not be, or is too long. */
export function textOf({ sha256 }: DatasetFile): string | undefined {
  const reading = textStateOf(sha256);
  return reading.state === 'read' ? (reading.text ?? undefined) : undefined;
}
