import { createContext, type ReactNode, useCallback, useContext, useState } from 'react';
import { loadedLater } from '../../ui/loaded-later.js';
import { useQueueClient } from '../queue/upload-queue.js';
import { type AddFiles, DropTarget } from './drop-target.js';

const Adding = loadedLater(async () => (await import('./adding.js')).Adding);

interface Addition {
  readonly key: number;
  readonly files: Parameters<AddFiles>[0];
  readonly datasetId: string | undefined;
}

const AddFilesContext = createContext<AddFiles | undefined>(undefined);

/**
 * Returns a function that checks files, asks for confirmation where necessary, and uploads them.
 *
 * @throws Error outside of `AddFilesProvider`
 */
export function useAddFiles(): AddFiles {
  const addFiles = useContext(AddFilesContext);
  if (addFiles === undefined) throw new Error('useAddFiles needs an AddFilesProvider around it.');
  return addFiles;
}

/** Provides `useAddFiles` to its children, and accepts files that are dropped anywhere on the page. */
export function AddFilesProvider({ children }: { children: ReactNode }) {
  useQueueClient();
  // Only the first addition is checked and shows its dialog; the others wait.
  const [additions, setAdditions] = useState<readonly Addition[]>([]);
  const addFiles = useCallback<AddFiles>((files, datasetId) => {
    setAdditions((known) => [...known, { key: (known.at(-1)?.key ?? 0) + 1, files, datasetId }]);
  }, []);
  const remove = (key: number) => setAdditions((known) => known.filter((addition) => addition.key !== key));
  const [first] = additions;
  return (
    <AddFilesContext value={addFiles}>
      {children}
      <DropTarget addFiles={addFiles} />
      {first !== undefined && (
        <Adding key={first.key} files={first.files} datasetId={first.datasetId} onDone={() => remove(first.key)} />
      )}
    </AddFilesContext>
  );
}
