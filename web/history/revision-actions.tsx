import { History, Pin, PinOff, Undo2 } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import { MAX_PIN_NOTE_LENGTH } from '../../src/api/limits.js';
import type { DatasetWithFiles, Manifest, Revision } from '../../src/client/client.js';
import { useClient } from '../session/client.js';
import { FormDialog } from '../session/dialog-form.js';
import { recordChange, undoSingleRevision } from '../undo/recent-change.js';
import { Loaded } from '../ui/loaded.js';
import { Button } from '../ui/button.js';
import { TextField } from '../ui/fields.js';
import { countOf, shortListOf } from '../ui/format.js';
import { useRefetchHistory, useRevisionFiles } from './use-history.js';
import { countsInWords, howOf } from './words.js';

interface RevisionActionsProps {
  readonly dataset: DatasetWithFiles;
  readonly revision: Revision;
  /** Shows one action only. */
  readonly only?: 'undo';
}

/** What a person can do with a revision. */
export function RevisionActions({ dataset, revision, only }: RevisionActionsProps) {
  const [dialog, setDialog] = useState<keyof typeof DIALOGS>();
  const { number, is_latest, pinned, how } = revision;
  const Dialog = dialog && DIALOGS[dialog];
  return (
    <div className="flex flex-wrap gap-2">
      {/* There is nothing before the first revision of an older data folder to go back to. */}
      {how !== 'import' && (
        <Button icon={Undo2} aria-label={only && `Undo revision ${number}`} onClick={() => setDialog('undo')}>
          Undo
        </Button>
      )}
      {only === undefined && (
        <>
          {!is_latest && (
            <Button icon={History} onClick={() => setDialog('restore')}>
              Restore
            </Button>
          )}
          <Button icon={pinned === null ? Pin : PinOff} onClick={() => setDialog(pinned === null ? 'pin' : 'unpin')}>
            {pinned === null ? 'Pin' : 'Unpin'}
          </Button>
        </>
      )}
      {Dialog !== undefined && <Dialog {...{ dataset, revision }} onClose={() => setDialog(undefined)} />}
    </div>
  );
}

interface RevisionDialogProps extends Omit<RevisionActionsProps, 'only'> {
  readonly onClose: () => void;
}

interface ActionDialogProps extends RevisionDialogProps {
  readonly verb: string;
  readonly busyLabel: string;
  readonly isDisabled?: boolean;
  readonly act: () => Promise<unknown>;
  /** What will happen. */
  readonly children: ReactNode;
}

/** Asks before an action on a revision, and shows why it failed. */
function ActionDialog({ dataset, revision, verb, act, onClose, ...form }: ActionDialogProps) {
  const refetch = useRefetchHistory(dataset.id);
  const work = async () => {
    // Also after a failure: the action may have been carried out although its answer was lost.
    await act().finally(refetch);
    onClose();
  };
  return <FormDialog title={`${verb} revision ${revision.number}?`} label={verb} {...{ work, onClose }} {...form} />;
}

function UndoDialog(props: RevisionDialogProps) {
  const client = useClient();
  const { dataset, revision } = props;
  const { number } = revision;
  const undo = async () => recordChange(dataset.id, await undoSingleRevision(client, dataset.id, number));
  return (
    <ActionDialog {...props} verb="Undo" busyLabel="Undoing …" act={undo}>
      <p>
        This reverses what revision {number} did ({howOf(revision)}: {countsInWords(revision)}). Files that were changed
        since stay as they are. It makes a new revision.
      </p>
    </ActionDialog>
  );
}

function UnpinDialog(props: RevisionDialogProps) {
  const { history } = useClient();
  const { number, pinned } = props.revision;
  return (
    <ActionDialog {...props} verb="Unpin" busyLabel="Unpinning …" act={() => history.unpin(props.dataset.id, number)}>
      <p>
        It is then kept as long as other revisions of its age.
        {pinned?.note ? ` ${pinned.by} pinned it with the note “${pinned.note}”.` : ''}
      </p>
    </ActionDialog>
  );
}

/** Keeps a revision for good, with a note. */
function PinDialog(props: RevisionDialogProps) {
  const { history } = useClient();
  const { dataset, revision } = props;
  const { number } = revision;
  const [note, setNote] = useState('');
  const pin = () => history.pin(dataset.id, number, note.trim() === '' ? {} : { note: note.trim() });
  return (
    <ActionDialog {...props} verb="Pin" busyLabel="Pinning …" act={pin}>
      <p>A pinned revision is kept until it is unpinned or the dataset is deleted.</p>
      <TextField
        label="Note"
        maxLength={MAX_PIN_NOTE_LENGTH}
        value={note}
        onChange={setNote}
        placeholder="Why it is kept"
      />
    </ActionDialog>
  );
}

/** Says what a restore will change, and asks before. */
function RestoreDialog(props: RevisionDialogProps) {
  const { history } = useClient();
  const { dataset, revision } = props;
  const { number } = revision;
  const restored = useRevisionFiles(dataset.id, number);
  const effects = useMemo(() => restored.data && effectsOf(dataset, restored.data), [dataset, restored.data]);
  const restore = async () => {
    const answer = await history.restore(dataset.id, number);
    if (!answer.restored) throw new Error('The dataset has exactly these files already.');
    const made = { numbers: [answer.revision.number] };
    recordChange(dataset.id, { text: `Revision ${number} restored.`, made });
  };
  return (
    <ActionDialog
      {...props}
      verb="Restore"
      busyLabel="Restoring …"
      isDisabled={effects === undefined || effects.length === 0}
      act={restore}
    >
      <Loaded of={{ ...restored, data: effects }}>
        {(all) =>
          all.length === 0 ? (
            <p>The dataset has exactly these files already.</p>
          ) : (
            <>
              <p>The dataset gets the files of revision {number}, as a new revision. Nothing is uploaded again.</p>
              <ul className="flex flex-col gap-1 text-sm">
                {all.map(({ one, many, names }) => (
                  <li key={one} className="wrap-anywhere">
                    {countOf(names.length, 'file')} {names.length === 1 ? one : many}:{' '}
                    <span className="text-muted">{shortListOf(names, MAX_NAMES)}</span>
                  </li>
                ))}
              </ul>
            </>
          )
        }
      </Loaded>
    </ActionDialog>
  );
}

const DIALOGS = { undo: UndoDialog, restore: RestoreDialog, pin: PinDialog, unpin: UnpinDialog } as const;

const MAX_NAMES = 5;

/** What a restore would do to files, by name. */
function effectsOf(
  { files, damaged = [] }: Pick<DatasetWithFiles, 'files' | 'damaged'>,
  restored: Pick<Manifest['files'][number], 'filename' | 'sha256'>[],
) {
  const now = new Map([...files, ...damaged].map(({ filename, sha256 }) => [filename, sha256]));
  const then = new Map(restored.map(({ filename, sha256 }) => [filename, sha256]));
  const changed = [...then].flatMap(([name, sha256]) => (now.has(name) && now.get(name) !== sha256 ? name : []));
  return [
    { one: 'comes back', many: 'come back', names: [...then.keys()].filter((name) => !now.has(name)) },
    { one: 'changes', many: 'change', names: changed },
    { one: 'is removed', many: 'are removed', names: [...now.keys()].filter((name) => !then.has(name)) },
  ].filter(({ names }) => names.length > 0);
}
