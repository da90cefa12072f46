import { extensionOf, type FileKind, mediaTypeOf, stemOf } from '../../../src/dataset/media.js';
import { WriteButton } from '../../session/write-button.js';
import { useAddFiles } from './add-files.js';
import { chooseFiles } from './dropped-files.js';

const ACCEPTED: Record<FileKind, string> = { image: 'image/*', video: 'video/*', caption: '.txt' };

interface ReplaceButtonProps {
  readonly datasetId: string;
  readonly filename: string;
  /** Called when the new file has another extension, and so another name. */
  readonly onRenamed: () => void;
}

/** Lets the user choose a file, and uploads it in the place of another one. It gets that name, with its own extension. */
export function ReplaceButton({ datasetId, filename, onRenamed }: ReplaceButtonProps) {
  const addFiles = useAddFiles();
  const replace = (file: File) => {
    const hasSameExtension = extensionOf(file.name) === extensionOf(filename);
    const name = hasSameExtension ? filename : `${stemOf(filename)}${extensionOf(file.name)}`;
    addFiles(Promise.resolve([{ path: name, file: new File([file], name, { type: file.type }) }]), datasetId);
    if (name !== filename) onRenamed();
  };
  const accept = ACCEPTED[mediaTypeOf(filename)?.kind ?? 'image'];
  const choose = () => chooseFiles({ accept }, ([file]) => file && replace(file));
  return (
    <WriteButton aria-label={`Replace ${filename}`} onClick={choose}>
      Replace
    </WriteButton>
  );
}
