import { useState } from 'react';
import { useClient } from '../../session/client.js';
import { AddUpload } from './add-upload.js';
import { type DroppedFile, withEntriesOfArchives } from './dropped-files.js';
import { PairsDialog } from './pairs/pairs-dialog.js';
import { preparePairUpload } from './pairs/prepare-pairs.js';
import { Preparing, usePrepared } from './preparing.js';

interface AddingProps {
  readonly files: Promise<readonly DroppedFile[]>;
  readonly datasetId: string | undefined;
  readonly onDone: () => void;
}

/** Adds files to a dataset or to a new one, and a folder of pairs to several. */
export function Adding({ files, datasetId, onDone }: AddingProps) {
  const client = useClient();
  // The promise starts with the first render, and stays the same for all.
  const [listed] = useState(() => files.then(withEntriesOfArchives));
  const [isFlat, setFlat] = useState(false);
  const { prepared, error, retry } = usePrepared(async (signal) =>
    preparePairUpload(client, await listed, { datasetId, signal }),
  );
  if (prepared === undefined) return <Preparing error={error} onRetry={retry} onCancel={onDone} />;
  if (isFlat || prepared === null) return <AddUpload files={listed} datasetId={datasetId} onDone={onDone} />;
  return <PairsDialog prepared={prepared} onFlat={() => setFlat(true)} onDone={onDone} />;
}
