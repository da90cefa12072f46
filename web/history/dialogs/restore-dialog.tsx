import { useMemo } from 'react';
import type { DatasetWithFiles, Manifest } from '../../../src/client/client.js';
import { recordChange } from '../../undo/recent-change.js';
import { countOf, messageOf, shortListOf } from '../../ui/format.js';
import { ActionDialog, type RevisionDialogProps } from './action-dialog.js';
import { useRevisionFiles } from '../use-history.js';

const MAX_NAMES = 5;

/** Says what a restore will change, and asks before. */
export function RestoreDialog({ client, dataset, revision, onClose }: RevisionDialogProps) {
  const { number } = revision;
  const { data: files, error } = useRevisionFiles(dataset.id, number);
  const effect = useMemo(() => files && effectOf(dataset, files), [dataset, files]);
  const isSame = effect !== undefined && Object.values(effect).every((names) => names.length === 0);
  return (
    <ActionDialog
      datasetId={dataset.id}
      title={`Restore revision ${number}?`}
      label="Restore"
      busyLabel="Restoring …"
      isDisabled={effect === undefined || isSame}
      act={async () => {
        const answer = await client.history.restore(dataset.id, number);
        if (!answer.restored) throw new Error('The dataset has exactly these files already.');
        const made = { numbers: [answer.revision.number] };
        recordChange(dataset.id, { text: `Revision ${number} restored.`, made });
      }}
      onClose={onClose}
    >
      {error !== null && (
        <p role="alert" className="text-bad">
          {messageOf(error)}
        </p>
      )}
      {effect === undefined && error === null && <p aria-live="polite">Comparing …</p>}
      {isSame && <p>The dataset has exactly these files already.</p>}
      {effect !== undefined && !isSame && (
        <>
          <p>The dataset gets the files of revision {number}, as a new revision. Nothing is uploaded again.</p>
          <ul className="flex flex-col gap-1 text-sm">
            <Effect verb="come back" names={effect.added} />
            <Effect verb="change" names={effect.changed} />
            <Effect verb="are removed" names={effect.removed} />
          </ul>
        </>
      )}
    </ActionDialog>
  );
}

function Effect({ verb, names }: { verb: string; names: readonly string[] }) {
  if (names.length === 0) return null;
  return (
    <li className="wrap-anywhere">
      {countOf(names.length, 'file')} {names.length === 1 ? SINGULAR[verb] : verb}:{' '}
      <span className="text-muted">{shortListOf(names, MAX_NAMES)}</span>
    </li>
  );
}

const SINGULAR: Record<string, string> = {
  'come back': 'comes back',
  change: 'changes',
  'are removed': 'is removed',
};

/** The names of the files that a restore would add, change and remove. */
function effectOf(
  { files, damaged = [] }: Pick<DatasetWithFiles, 'files' | 'damaged'>,
  restored: Pick<Manifest['files'][number], 'filename' | 'sha256'>[],
) {
  const now = new Map([...files, ...damaged].map(({ filename, sha256 }) => [filename, sha256]));
  const then = new Map(restored.map(({ filename, sha256 }) => [filename, sha256]));
  return {
    added: [...then.keys()].filter((name) => !now.has(name)),
    changed: [...then].flatMap(([name, sha256]) => (now.has(name) && now.get(name) !== sha256 ? name : [])),
    removed: [...now.keys()].filter((name) => !then.has(name)),
  };
}
