import { FilePlus, FolderPlus } from 'lucide-react';
import { type ReactNode, useRef } from 'react';
import { WriteButton } from '../../session/write-button.js';
import { addFiles } from './add-files.js';
import { listPickedFiles } from './dropped-files.js';

/** Opens the file chooser and adds the files to a dataset. */
export function AddFilesButton({ datasetId, label = 'Add files' }: { datasetId: string; label?: string }) {
  return (
    <PickButton datasetId={datasetId} isFolder={false}>
      <FilePlus size={16} aria-hidden /> {label}
    </PickButton>
  );
}

interface AddFolderButtonProps {
  readonly datasetId: string | undefined;
  readonly label?: string;
  /** Whether it shows only its icon on a narrow screen. */
  readonly isIconIfNarrow?: boolean;
}

/** Opens the folder chooser and adds its files to a dataset, or to a new dataset if there is no id. */
export function AddFolderButton({ datasetId, label, isIconIfNarrow = false }: AddFolderButtonProps) {
  const words = label ?? (datasetId === undefined ? 'Upload a folder' : 'Add a folder');
  return (
    <PickButton datasetId={datasetId} isFolder {...(isIconIfNarrow && { className: 'max-sm:gap-0' })}>
      <FolderPlus size={16} aria-hidden />
      <span className={isIconIfNarrow ? 'max-sm:sr-only' : ''}>{words}</span>
    </PickButton>
  );
}

interface PickButtonProps {
  readonly datasetId: string | undefined;
  readonly isFolder: boolean;
  readonly className?: string;
  readonly children: ReactNode;
}

function PickButton({ datasetId, isFolder, className = '', children }: PickButtonProps) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <WriteButton className={className} onClick={() => input.current?.click()}>
        {children}
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
