import { useEffect, useEffectEvent, useMemo, useState, useSyncExternalStore } from 'react';
import type { DatasetFile, DatasetWithFiles } from '../../../src/client/client.js';
import { useLinks } from '../../live/dataset.js';
import { keepLooks, keptLooksOf } from '../image-analysis/analysis-cache.js';
import { Looking, type Progress } from '../image-analysis/analyzer.js';
import type { Look } from '../image-analysis/image-analysis.js';

/** Up to so many images are looked at without being asked. */
const UNASKED = 500;

export interface Seen {
  readonly file: DatasetFile;
  readonly look: Look;
}

export interface Looks {
  readonly progress: Progress;
  /** Images with what a look at them has told; of several with the same bytes, the first. */
  readonly seen: readonly Seen[];
  /** How many different images have not been looked at yet. */
  readonly unseen: number;
  /** How many can not be looked at, since there is no thumbnail of them. */
  readonly unseeable: number;
  /** Looks at what is unseen; `undefined` while that can't be begun. */
  readonly start: (() => void) | undefined;
  readonly cancel: () => void;
}

/** What is known of the pixels of a dataset's images; the few images of a small dataset are looked at unasked. */
export function useLooks({ id, status }: DatasetWithFiles, images: readonly DatasetFile[]): Looks {
  const links = useLinks(id);
  const [looking] = useState(() => new Looking());
  const progress = useSyncExternalStore(looking.subscribe, looking.progress);
  const isRecalled = useRecall(looking, id);
  const distinct = useMemo(() => distinctOf(images), [images]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: both tell when there are more looks than before
  const { seen, unseen, unseeable } = useMemo(
    () => tallyOf(looking, distinct),
    [looking, distinct, isRecalled, progress.ended],
  );

  const canStart = isRecalled && links !== undefined && progress.state !== 'looking' && unseen.length > 0;
  const start = () => looking.start(unseen.map((file) => ({ sha256: file.sha256, url: links?.thumbnail(file) ?? '' })));
  const startUnasked = useEffectEvent(start);
  const isUnasked =
    canStart &&
    unseen.length <= UNASKED &&
    status !== 'UPLOADING' &&
    progress.state === 'still' &&
    progress.failed === 0;
  useEffect(() => {
    if (isUnasked) startUnasked();
  }, [isUnasked]);

  const keep = useEffectEvent(
    () =>
      void keepLooks(
        id,
        distinct.flatMap((file) => keptOf(looking, file)),
      ),
  );
  useEffect(() => {
    if (progress.ended > 0) keep();
  }, [progress.ended]);
  useEffect(() => () => looking.cancel(), [looking]);

  return {
    progress,
    seen,
    unseen: unseen.length,
    unseeable,
    start: canStart ? start : undefined,
    cancel: () => looking.cancel(),
  };
}

/** Whether what was kept from before has been taken over. */
function useRecall(looking: Looking, id: string): boolean {
  const [recalled, setRecalled] = useState<string>();
  useEffect(() => {
    let isCurrent = true;
    void keptLooksOf(id).then((looks) => {
      if (!isCurrent) return;
      looking.recall(looks);
      setRecalled(id);
    });
    return () => {
      isCurrent = false;
    };
  }, [looking, id]);
  return recalled === id;
}

/** Of several files with the same bytes, the first. */
function distinctOf(files: readonly DatasetFile[]): DatasetFile[] {
  const known = new Set<string>();
  return files.filter(({ sha256 }) => !known.has(sha256) && known.add(sha256));
}

function tallyOf(looking: Looking, distinct: readonly DatasetFile[]) {
  const seen: Seen[] = [];
  const unseen: DatasetFile[] = [];
  let unseeable = 0;
  for (const file of distinct) {
    const look = looking.lookOf(file.sha256);
    if (look !== undefined) seen.push({ file, look });
    else if (looking.has(file.sha256)) unseeable++;
    else unseen.push(file);
  }
  return { seen, unseen, unseeable };
}

function keptOf(looking: Looking, { sha256 }: DatasetFile): (readonly [string, Look | undefined])[] {
  return looking.has(sha256) ? [[sha256, looking.lookOf(sha256)]] : [];
}
