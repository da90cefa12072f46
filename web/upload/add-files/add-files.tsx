import { createContext, type ReactNode, useCallback, useContext, useState } from 'react';
import { useQueueAtWork } from '../queue/page-queue.js';
import { BringingToDataset } from './add-to-dataset.js';
import { BringingToNew } from './add-to-new-dataset.js';
import { type Bring, DropArea } from './drop-area.js';

interface Brought {
  readonly key: number;
  readonly files: Parameters<Bring>[0];
  readonly datasetId: string | undefined;
}

const BringContext = createContext<Bring | undefined>(undefined);

/**
 * Brings files: they are checked, what there is to ask is asked, and they are uploaded.
 *
 * @throws Error outside of `BringArea`
 */
export function useBring(): Bring {
  const bring = useContext(BringContext);
  if (bring === undefined) throw new Error('Nothing can be brought here.');
  return bring;
}

/** Lets the pages within it bring files, and people drop them anywhere. */
export function BringArea({ children }: { children: ReactNode }) {
  useQueueAtWork();
  // One is asked about at a time; the others wait.
  const [waiting, setWaiting] = useState<readonly Brought[]>([]);
  const bring = useCallback<Bring>((files, datasetId) => {
    setWaiting((known) => [...known, { key: (known.at(-1)?.key ?? 0) + 1, files, datasetId }]);
  }, []);
  const done = useCallback(() => setWaiting(([, ...rest]) => rest), []);
  const [first] = waiting;
  return (
    <BringContext value={bring}>
      {children}
      <DropArea bring={bring} />
      {first !== undefined &&
        (first.datasetId === undefined ? (
          <BringingToNew key={first.key} files={first.files} onDone={done} />
        ) : (
          <BringingToDataset key={first.key} files={first.files} datasetId={first.datasetId} onDone={done} />
        ))}
    </BringContext>
  );
}
