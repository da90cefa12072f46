import { useState } from 'react';
import { AddUpload } from './add-upload.js';
import type { AddFiles } from './drop-target.js';
import { withEntriesOfArchives } from './dropped-archives.js';
import { AddPairs } from './pairs/add-pairs.js';
import { droppedPairsOf } from './pairs/dropped-pairs.js';
import { Preparing, usePrepared } from './preparing.js';

interface AddingProps {
  readonly files: Parameters<AddFiles>[0];
  readonly datasetId: string | undefined;
  readonly onDone: () => void;
}

/** Adds files to a dataset or to a new one, and a folder of pairs to several. */
export function Adding({ files, datasetId, onDone }: AddingProps) {
  // The promise starts with the first render, and stays the same for all.
  const [listed] = useState(() => files.then(withEntriesOfArchives));
  const { prepared: dropped, error } = usePrepared(async () => droppedPairsOf(await listed) ?? null);
  const flat = <AddUpload files={listed} datasetId={datasetId} onDone={onDone} />;
  if (dropped === undefined && error === null) return <Preparing error={null} onRetry={() => {}} onCancel={onDone} />;
  return dropped ? <AddPairs dropped={dropped} datasetId={datasetId} flat={flat} onDone={onDone} /> : flat;
}
