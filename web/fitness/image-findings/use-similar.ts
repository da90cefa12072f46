import { useEffect, useState } from 'react';
import { type Answer, type Question, startWorker } from '../image-analysis/worker-protocol.js';
import type { Seen } from './use-image-analysis.js';

interface Found {
  readonly seen: readonly Seen[];
  readonly most: number;
  readonly groups: readonly (readonly Seen[])[];
}

/** Groups of images that look alike, found beside the page; `undefined` until they are. */
export function useSimilar(seen: readonly Seen[], most: number): readonly (readonly Seen[])[] | undefined {
  const [found, setFound] = useState<Found>();
  useEffect(() => {
    if (seen.length === 0) return;
    const worker = startWorker();
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
      if (!('groups' in data)) return;
      const groups = data.groups.map((places) => places.flatMap((place) => seen[place] ?? []));
      setFound({ seen, most, groups: groups.sort((a, b) => b.length - a.length) });
      worker.terminate();
    });
    const images = seen.map(({ look: { hash, shades } }) => ({ hash, shades }));
    worker.postMessage({ images, most } satisfies Question);
    return () => worker.terminate();
  }, [seen, most]);
  // Those of a moment ago stay while others are looked for; those of other images don't.
  return found?.seen === seen ? found.groups : undefined;
}
