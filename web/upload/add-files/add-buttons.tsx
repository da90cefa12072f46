import { FilePlus, FolderPlus } from 'lucide-react';
import { type ReactNode, useRef } from 'react';
import { Button } from '../../ui/button.js';
import { useAddFiles } from './add-files.js';
import { listPickedFiles } from './dropped-files.js';

/** Chooses files for a dataset. */
export function AddFilesButton({ datasetId }: { datasetId: string }) {
  return (
    <PickButton datasetId={datasetId} isFolder={false}>
      <FilePlus size={16} aria-hidden /> Add files
    </PickButton>
  );
}

/** Chooses a folder for a dataset or, without one, for a new one. */
export function AddFolderButton({ datasetId }: { datasetId: string | undefined }) {
  return (
    <PickButton datasetId={datasetId} isFolder>
      <FolderPlus size={16} aria-hidden /> {datasetId === undefined ? 'Upload a folder' : 'Add a folder'}
    </PickButton>
  );
}

interface PickButtonProps {
  readonly datasetId: string | undefined;
  readonly isFolder: boolean;
  readonly children: ReactNode;
}

function PickButton({ datasetId, isFolder, children }: PickButtonProps) {
  const bring = useAddFiles();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button onClick={() => input.current?.click()}>{children}</Button>
      <input
        ref={input}
        type="file"
        multiple
        {...(isFolder && { webkitdirectory: '' })}
        hidden
        aria-hidden
        tabIndex={-1}
        onChange={({ currentTarget }) => {
          if (currentTarget.files !== null) bring(Promise.resolve(listPickedFiles(currentTarget.files)), datasetId);
          // So that the same can be chosen again.
          currentTarget.value = '';
        }}
      />
    </>
  );
}
