import type { DatasetFile, Problem } from '../../../src/client/client.js';
import { stemOf } from '../../../src/dataset/media.js';
import { useDataset } from '../../live/dataset.js';
import { deleteFiles, useDeletion } from '../../pairs/selection/deletion.js';
import { useConnect } from '../../session/client.js';
import { WriteButton } from '../../session/write-button.js';
import { ReplaceButton } from '../../upload/add-files/replace-button.js';

interface UploadActionsProps {
  readonly datasetId: string;
  readonly filename: string;
  readonly isWithdrawing: boolean;
  readonly onDismiss: () => void;
}

/** The actions for a rejected upload: send another file, or go on without it. */
export function UploadActions({ datasetId, filename, isWithdrawing, onDismiss }: UploadActionsProps) {
  return (
    <>
      <ReplaceButton datasetId={datasetId} filename={filename} etag={undefined} />
      <WriteButton aria-label={`Dismiss ${filename}`} disabled={isWithdrawing} onClick={onDismiss}>
        Dismiss
      </WriteButton>
    </>
  );
}

interface FileActionsProps {
  readonly datasetId: string;
  readonly file: DatasetFile;
  readonly problem: Problem;
}

/** The actions for an error about a file that is in the dataset. */
export function FileActions({ datasetId, file, problem }: FileActionsProps) {
  const connect = useConnect();
  const { refetch } = useDataset(datasetId);
  const deletion = useDeletion(datasetId);
  const { filename, etag } = file;
  const remove = () => deleteFiles([{ stem: stemOf(filename), filename, etag }], { connect, datasetId, refetch });
  return (
    <>
      {problem.code !== 'NAME_COLLISION' && <ReplaceButton datasetId={datasetId} filename={filename} etag={etag} />}
      <WriteButton
        kind="danger"
        aria-label={`Delete ${filename}`}
        disabled={deletion.isRunning}
        onClick={() => void remove()}
      >
        Delete
      </WriteButton>
    </>
  );
}
