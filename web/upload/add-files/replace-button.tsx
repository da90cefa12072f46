import { WriteButton } from '../../session/write-button.js';
import { addFiles } from './add-files.js';
import { chooseReplacement } from './dropped-files.js';

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
  const choose = () =>
    chooseReplacement(filename, (file) => {
      const replaces = file.name === filename ? {} : { replaces: { filename, etag } };
      addFiles(Promise.resolve([{ path: file.name, file, ...replaces }]), datasetId);
    });
  return (
    <WriteButton aria-label={`Replace ${filename}`} onClick={choose}>
      Replace
    </WriteButton>
  );
}
