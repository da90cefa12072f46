import { createContext, type ReactNode, useCallback, useContext, useState } from 'react';
import { useQueueClient } from '../queue/page-queue.js';
import { AddToDataset } from './add-to-dataset.js';
import { AddToNewDataset } from './add-to-new-dataset.js';
import { type AddFiles, DropTarget } from './drop-target.js';

interface Addition {
  readonly key: number;
  readonly files: Parameters<AddFiles>[0];
  readonly datasetId: string | undefined;
}

const AddFilesContext = createContext<AddFiles | undefined>(undefined);

/**
 * Brings files: they are checked, what there is to ask is asked, and they are uploaded.
 *
 * @throws Error outside of `AddFilesProvider`
 */
export function useAddFiles(): AddFiles {
  const bring = useContext(AddFilesContext);
  if (bring === undefined) throw new Error('Nothing can be brought here.');
  return bring;
}

/** Lets the pages within it bring files, and people drop them anywhere. */
export function AddFilesProvider({ children }: { children: ReactNode }) {
  useQueueClient();
  // One is asked about at a time; the others wait.
  const [waiting, setWaiting] = useState<readonly Addition[]>([]);
  const bring = useCallback<AddFiles>((files, datasetId) => {
    setWaiting((known) => [...known, { key: (known.at(-1)?.key ?? 0) + 1, files, datasetId }]);
  }, []);
  const done = useCallback(() => setWaiting(([, ...rest]) => rest), []);
  const [first] = waiting;
  return (
    <AddFilesContext value={bring}>
      {children}
      <DropTarget bring={bring} />
      {first !== undefined &&
        (first.datasetId === undefined ? (
          <AddToNewDataset key={first.key} files={first.files} onDone={done} />
        ) : (
          <AddToDataset key={first.key} files={first.files} datasetId={first.datasetId} onDone={done} />
        ))}
    </AddFilesContext>
  );
}
