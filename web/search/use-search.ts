import { useEffect, useMemo, useState } from 'react';
import { type ReadPairs, textOf } from '../captions/read-pairs.js';
import type { Pair } from '../live/pairs.js';
import { asksForTexts, parsedSearch, REGEX_FLAGS, type RegexHits } from './query.js';
import type { RegexRequest, RegexResponse } from './regex.worker.js';

/** A person waits no longer for a search, and a cheaper expression is found sooner. */
const MAX_REGEX_MS = 2000;

/** The rest of a caption is not searched by expressions. */
const MAX_TEXT = 10_000;

const NO_HITS: RegexHits = new Map();

/** A search as it is read, with what its regular expressions find, once the captions are read that it asks about: until then, `found` is `undefined`. */
export function useSearch(text: string, pairs: readonly Pair[], read: ReadPairs) {
  const { query, fault } = useMemo(() => parsedSearch(text), [text]);
  const sources = useMemo(
    () => JSON.stringify([...new Set(query?.terms.flatMap(({ regex }) => regex ?? []))]),
    [query],
  );
  const [result, setResult] = useState<{ key: string; found: RegexHits; isSlow: boolean }>();
  const searched = read.pairs ?? pairs;
  const isRead = read.pairs !== undefined || read.error !== null || !read.isWanted;
  const isReady = isRead || !asksForTexts(query);
  useEffect(() => {
    const list = JSON.parse(sources) as string[];
    if (list.length === 0 || !isReady) return;
    const put = (found: RegexHits, isSlow: boolean) => setResult({ key: sources, found, isSlow });
    return runRegexes(list, searched, put);
  }, [sources, searched, isReady]);
  if (sources === '[]' || !isReady) return { query, fault, found: isReady ? NO_HITS : undefined };
  const current = result?.key === sources ? result : undefined;
  if (current?.isSlow === true) {
    const at = text.indexOf('/');
    const slow = { message: 'This expression takes too long. Try a simpler one.', from: at, to: text.length };
    return { query: undefined, fault: slow, found: NO_HITS };
  }
  return { query, fault, found: current?.found };
}

/** Runs expressions in a worker, which is ended when they take too long. Returns what ends it before. */
function runRegexes(
  sources: readonly string[],
  pairs: readonly Pair[],
  onResult: (found: RegexHits, isSlow: boolean) => void,
): () => void {
  const worker = new Worker(new URL('./regex.worker.ts', import.meta.url), { type: 'module' });
  const texts = pairs.map(({ media, files, caption }) => {
    const names = (media.length > 0 ? media : files).map(({ filename }) => filename);
    return [...names, (caption && textOf(caption)) ?? ''].join('\n').slice(0, MAX_TEXT);
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => {
    clearTimeout(timer);
    worker.terminate();
  };
  const giveUp = () => {
    stop();
    onResult(NO_HITS, true);
  };
  worker.addEventListener('error', giveUp);
  worker.addEventListener('message', ({ data }: MessageEvent<RegexResponse | 'loaded'>) => {
    if (data === 'loaded') {
      timer = setTimeout(giveUp, MAX_REGEX_MS);
      return;
    }
    stop();
    const hitsOf = (hits: RegexResponse[number]) =>
      new Map(hits.map(([index, found]) => [pairs[index]!.stem, found] as const));
    onResult(new Map(sources.map((source, index) => [source, hitsOf(data[index]!)])), false);
  });
  worker.postMessage({ sources, texts, flags: REGEX_FLAGS } satisfies RegexRequest);
  return stop;
}
