import { FilePlus, FolderPlus } from 'lucide-react';
import { useRef } from 'react';
import { WriteButton } from '../../session/write-button.js';
import { addFiles } from './add-files.js';
import { listPickedFiles } from './dropped-files.js';

interface AddButtonProps {
  /** Without it, the files become a new dataset. */
  readonly datasetId?: string;
  readonly label: string;
  /** Whether a folder is chosen, and not files. */
  readonly isFolder?: boolean;
}

/** Opens the file or folder chooser, and adds the files. */
export function AddButton({ datasetId, label, isFolder = false }: AddButtonProps) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <WriteButton icon={isFolder ? FolderPlus : FilePlus} onClick={() => input.current?.click()}>
        {label}
      </WriteButton>
      <input
        ref={input}
        type="file"
        multiple
        {...(isFolder && { webkitdirectory: '' })}
        hidden
        aria-hidden
        tabIndex={-1}
        onChange={({ currentTarget }) => {
          if (currentTarget.files !== null) addFiles(Promise.resolve(listPickedFiles(currentTarget.files)), datasetId);
          // Without this, choosing the same files again would not fire the event.
          currentTarget.value = '';
        }}
      />
    </>
  );
}
