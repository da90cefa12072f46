import { WriteButton } from '../../session/write-button.js';
import { addFiles } from './add-files.js';
import { acceptedFor, chooseFiles, replacementNameOf } from './dropped-files.js';

interface ReplaceButtonProps {
  readonly datasetId: string;
  readonly filename: string;
  /** The version of the stored file that is shown; `undefined` for a rejected upload. */
  readonly etag: string | undefined;
}

/**
 * Lets the user choose a file, and uploads it under the name of another one, with its own extension. If the extension differs,
 * the old entry is removed once the new file is in the dataset.
 */
export function ReplaceButton({ datasetId, filename, etag }: ReplaceButtonProps) {
  const replace = (file: File) => {
    const name = replacementNameOf(filename, file);
    const replaces = name === filename ? {} : { replaces: { filename, etag } };
    const renamed = new File([file], name, { type: file.type });
    addFiles(Promise.resolve([{ path: name, file: renamed, ...replaces }]), datasetId);
  };
  const choose = () => chooseFiles({ accept: acceptedFor(filename) }, ([file]) => file && replace(file));
  return (
    <WriteButton aria-label={`Replace ${filename}`} onClick={choose}>
      Replace
    </WriteButton>
  );
}
