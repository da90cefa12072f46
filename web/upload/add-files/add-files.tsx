import { useEffect } from 'react';
import { loadedLater } from '../../ui/loaded-later.js';
import { Store } from '../../ui/store.js';
import { useQueueClient } from '../queue/upload-queue.js';
import type { DroppedFile } from './dropped-files.js';

const Adding = loadedLater(async () => (await import('./add-upload.js')).Adding);

interface Addition {
  readonly key: number;
  readonly files: Promise<readonly DroppedFile[]>;
  readonly datasetId: string | undefined;
}

/** Only the first is checked and shows its dialog; the others wait. */
const additions = new Store<readonly Addition[]>();

let lastKey = 0;

/** Checks files, asks for confirmation where necessary, and uploads them to a dataset, or to a new one if there is no id. */
export function addFiles(files: Addition['files'], datasetId: string | undefined): void {
  additions.set([...(additions.get() ?? []), { key: ++lastKey, files, datasetId }]);
}

/** Shows what `addFiles` asks. */
export function AddedFiles() {
  useQueueClient();
  const [first] = additions.useValue() ?? [];
  useEffect(() => () => additions.set(undefined), []);
  if (first === undefined) return null;
  const { key, files, datasetId } = first;
  const remove = () => additions.set(additions.get()?.filter((addition) => addition.key !== key));
  return <Adding key={key} files={files} datasetId={datasetId} onDone={remove} />;
}
