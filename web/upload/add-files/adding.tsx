import { useState } from 'react';
import { isHiddenPath, kohyaOf, topFolderOf } from '../../../src/dataset/import/entry-paths.js';
import { useClient } from '../../session/client.js';
import { messageOf } from '../../ui/format.js';
import { AddUpload } from './add-upload.js';
import type { DroppedFile } from './dropped-files.js';
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

/** Lists the entries of dropped zips in place of these, below a folder of the name of the zip. Nothing is unpacked. */
async function withEntriesOfArchives(dropped: readonly DroppedFile[]): Promise<readonly DroppedFile[]> {
  if (!dropped.some(({ path }) => isZip(path))) return dropped;
  const { openZip } = await import('../../../src/dataset/import/zip-archive.js');
  const files: DroppedFile[] = [];
  for (const each of dropped) {
    const { path, file } = each;
    if (file === undefined || !isZip(path)) {
      files.push(each);
      continue;
    }
    try {
      const entries = await openZip(file, file.name);
      const root = topFolderOf(entries.filter((entry) => !isHiddenPath(entry.path)));
      // A folder of kohya's says the repeats.
      const start = root === '' || kohyaOf(root) !== undefined ? '' : `${root}/`;
      for (const packed of entries) {
        const inner = packed.path.startsWith(start) ? packed.path.slice(start.length) : packed.path;
        files.push({ path: `${path.replace(/\.zip$/i, '')}/${inner}`, file: undefined, packed });
      }
    } catch (error) {
      files.push({ path, file: undefined, fault: messageOf(error) });
    }
  }
  return files;
}

function isZip(path: string): boolean {
  return path.toLowerCase().endsWith('.zip');
}
