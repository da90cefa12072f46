import { FilePlus, FolderPlus, type LucideIcon } from 'lucide-react';
import { useRef } from 'react';
import { WriteButton } from '../../session/write-button.js';
import { addFiles } from './add-files.js';
import { listPickedFiles } from './dropped-files.js';

interface AddButtonProps {
  readonly datasetId: string;
  readonly label?: string;
}

/** Opens the file chooser and adds the files to a dataset. */
export function AddFilesButton({ datasetId, label = 'Add files' }: AddButtonProps) {
  return <PickButton {...{ datasetId, label }} icon={FilePlus} isFolder={false} />;
}

/** Opens the folder chooser and adds its files to a dataset, or to a new dataset if there is no id. */
export function AddFolderButton({ datasetId, label = 'Add a folder' }: Partial<AddButtonProps>) {
  return <PickButton {...{ datasetId, label }} icon={FolderPlus} isFolder />;
}

interface PickButtonProps {
  readonly datasetId: string | undefined;
  readonly label: string;
  readonly icon: LucideIcon;
  readonly isFolder: boolean;
}

function PickButton({ datasetId, label, icon, isFolder }: PickButtonProps) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <WriteButton icon={icon} onClick={() => input.current?.click()}>
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
