import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useEffectEvent, useMemo, useState } from 'react';
import { useLocation } from 'wouter';
import type { Dataset } from '../../../src/client/client.js';
import type { Role } from '../../../src/dataset/dataset.js';
import { groupsToSave, kohyaGroupsOf } from '../../../src/dataset/import/entry-paths.js';
import type { ImportChoices } from '../../../src/dataset/import/survey.js';
import { putDataset, useDatasets } from '../../live/datasets.js';
import { datasetNameErrorOf, NameField } from '../../new-dataset/name-field.js';
import { RoleChoice } from '../../roles/role-choice.js';
import { useClient } from '../../session/client.js';
import { DialogForm, useRequesting } from '../../session/dialog-form.js';
import { Dialog } from '../../ui/dialog.js';
import { countOf } from '../../ui/format.js';
import { uploadQueue } from '../queue/upload-queue.js';
import { type DroppedFile, withEntriesOfArchives } from './dropped-files.js';
import { type ChosenFolders, datasetNameOf, type FolderChoice, MAIN, withChoice } from './dropped-folders.js';
import { FolderList } from './folder-list.js';
import { CaptionChoices, NameChoices } from './name-choices.js';
import { PairsDialog } from './pairs/pairs-dialog.js';
import { preparePairUpload } from './pairs/prepare-pairs.js';
import { type ClashChoice, type ExistingChoice, planUpload } from './plan-upload.js';
import { makeDatasets, suggestName } from './new-datasets.js';
import { type PreparedUpload, prepareUpload } from './prepare-upload.js';
import { Preparing, usePrepared } from './preparing.js';
import { SkippedFiles } from './skipped-files.js';

interface AddUploadProps {
  readonly files: Promise<readonly DroppedFile[]>;
  /** `undefined` for a new dataset. */
  readonly datasetId: string | undefined;
  readonly onDone: () => void;
}

/** Adds files to a dataset or to a new one, and a folder of pairs to several. */
export function Adding({ files, datasetId, onDone }: AddUploadProps) {
  const client = useClient();
  // The promise starts with the first render, and stays the same for all.
  const [listed] = useState(() => files.then(withEntriesOfArchives));
  const [isFlat, setFlat] = useState(false);
  const { prepared, error, retry } = usePrepared(async (signal) =>
    preparePairUpload(client, await listed, { datasetId, signal }),
  );
  if (prepared === undefined) return <Preparing error={error} onRetry={retry} onCancel={onDone} />;
  if (isFlat || prepared === null) return <AddUpload files={listed} datasetId={datasetId} onDone={onDone} />;
  return <PairsDialog prepared={prepared} onFlat={() => setFlat(true)} onDone={onDone} />;
}

/** Uploads files into a dataset or a new one. Asks first if something is to be decided. */
function AddUpload({ files, datasetId, onDone }: AddUploadProps) {
  const client = useClient();
  const [choices, setChoices] = useState<ImportChoices>({});
  const { prepared, isOutdated, error, retry } = usePrepared(
    (signal) => prepareUpload(client, files, { datasetId, choices, signal }),
    choices,
  );
  if (prepared === undefined) return <Preparing error={error} onRetry={retry} onCancel={onDone} />;
  return (
    <PreparedAddition
      prepared={prepared}
      isOutdated={isOutdated}
      captions={<CaptionChoices prepared={prepared} choices={choices} onChange={setChoices} />}
      onDone={onDone}
    />
  );
}

interface PreparedProps {
  readonly prepared: PreparedUpload;
  /** Whether it is being prepared again for other choices. */
  readonly isOutdated: boolean;
  /** The choices among captions of several sources. */
  readonly captions: ReactNode;
  readonly onDone: () => void;
}

function PreparedAddition({ prepared, isOutdated, captions, onDone }: PreparedProps) {
  const { dataset, rejected, candidates, folders, isArchive, tables, severalSources } = prepared;
  const chosen = useUploadChoices(prepared);
  const upload = useUpload(prepared, chosen, onDone);
  const { files, overwriting, clashing, unchanged } = chosen.plan.get(MAIN)!;
  const isChosen = isArchive || tables.length + severalSources > 0;
  const isPlain = dataset !== undefined && !isListed(folders) && rejected.length === 0 && !isChosen;
  const isAtOnce = isPlain && files.length > 0 && overwriting.length + clashing.length === 0;
  const uploadAtOnce = useEffectEvent(() => void upload());
  useEffect(() => {
    if (isAtOnce) uploadAtOnce();
  }, [isAtOnce]);
  if (isAtOnce) return null;
  if (candidates.length === unchanged) return <NothingToUpload prepared={prepared} onDone={onDone} />;
  return <AddDialog {...{ prepared, isOutdated, captions, chosen, upload, onDone }} />;
}

function NothingToUpload({ prepared, onDone }: Pick<PreparedProps, 'prepared' | 'onDone'>) {
  const { rejected, hidden, candidates } = prepared;
  const unchanged = candidates.length;
  return (
    <Dialog title="Nothing to upload" onClose={onDone} width="max-w-2xl" close={{ children: 'Close' }}>
      <SkippedFiles rejected={rejected} hidden={hidden} unchanged={unchanged} />
      {rejected.length + hidden + unchanged === 0 && <p>The folder contains no files.</p>}
    </Dialog>
  );
}

interface AddDialogProps extends PreparedProps {
  readonly chosen: ReturnType<typeof useUploadChoices>;
  readonly upload: () => Promise<void>;
}

function AddDialog({ prepared, isOutdated, captions, chosen, upload, onDone }: AddDialogProps) {
  const { dataset, rejected, hidden, folders } = prepared;
  const { plan, names, choices, clash, existing, role, nameOf } = chosen;
  const requesting = useRequesting();
  const files = [...plan.values()].reduce((sum, each) => sum + each.files.length, 0);
  return (
    <Dialog
      title={dataset === undefined ? 'New dataset' : `Add to ${dataset.name}`}
      onClose={() => requesting.isBusy || onDone()}
      width="max-w-2xl"
    >
      <DialogForm
        requesting={requesting}
        work={upload}
        label={submitLabelOf(files, { datasets: names.size, makesMain: names.has(MAIN) })}
        busyLabel="Creating …"
        isDisabled={isOutdated || !chosen.isValid || files === 0}
        onCancel={() => requesting.isBusy || onDone()}
      >
        {names.has(MAIN) && (
          <NameField
            {...nameOf(MAIN)}
            help="Leave it empty to get a generated name."
            onChange={(name) => chosen.setName(MAIN, name)}
          />
        )}
        {dataset === undefined && <RoleChoice role={role} onChange={chosen.setRole} />}
        {isListed(folders) && (
          <FolderList
            folders={folders}
            choices={choices}
            ownNameOf={nameOf}
            onChoose={chosen.choose}
            onName={chosen.setName}
          />
        )}
        {captions}
        <NameChoices
          plan={plan}
          clash={clash}
          existing={existing}
          datasetName={dataset?.name ?? ''}
          onClash={chosen.setClash}
          onExisting={chosen.setExisting}
        />
        <SkippedFiles rejected={rejected} hidden={hidden} unchanged={plan.get(MAIN)!.unchanged} />
      </DialogForm>
    </Dialog>
  );
}

/** Returns a function that makes the new datasets, queues all files, and opens the dataset that they are added to. */
function useUpload({ dataset, hidden }: PreparedUpload, chosen: AddDialogProps['chosen'], onDone: () => void) {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  return async () => {
    const { plan, names, role } = chosen;
    const wanted = [...names].map(([key, { name }]) => ({ key, name: name.trim() === '' ? undefined : name, role }));
    const made = await makeDatasets(client, wanted);
    for (const each of made.values()) putDataset(queries, each);
    const additions = [...plan].filter(([, { files }]) => files.length > 0);
    for (const [index, [folder, { files, placed }]] of additions.entries()) {
      const target = made.get(folder) ?? dataset!;
      const groups = groupsToSave(kohyaGroupsOf(placed), target);
      uploadQueue.add(target, files, { hidden: index === 0 ? hidden : 0, groups });
    }
    onDone();
    if (dataset !== undefined) return;
    const [first] = made.values();
    navigate(first !== undefined && (names.has(MAIN) || made.size === 1) ? `/datasets/${first.id}` : '/');
  };
}

/** Whether a folder asks for a decision, or says the repeats of its files. */
function isListed(folders: PreparedUpload['folders']): boolean {
  return folders.length > 1 || folders.some(({ kohya }) => kohya !== undefined);
}

function submitLabelOf(count: number, { datasets, makesMain }: { datasets: number; makesMain: boolean }): string {
  const files = countOf(count, 'file');
  if (datasets === 0) return `Upload ${files}`;
  return datasets === 1 && makesMain
    ? `Create and upload ${files}`
    : `Create ${countOf(datasets, 'dataset')}, upload ${files}`;
}

/** What the user has chosen for an upload, and the plan that follows from it. */
function useUploadChoices({ dataset, candidates, known, commonFolder }: PreparedUpload) {
  const { data: datasets } = useDatasets();
  const [choices, setChoices] = useState<ChosenFolders>(new Map());
  const [clash, setClash] = useState<ClashChoice>('both');
  const [existing, setExisting] = useState<ExistingChoice>('replace');
  const [role, setRole] = useState<Role>('training');
  const [typed, setTyped] = useState<ReadonlyMap<string, string>>(new Map());
  const plan = useMemo(
    () => planUpload(candidates, known, { folders: choices, clash, existing }),
    [candidates, known, choices, clash, existing],
  );
  // Without files of its own, no dataset is made beside those of the folders.
  const makesMain = dataset === undefined && (plan.get(MAIN)!.files.length > 0 || plan.size === 1);
  const names = useMemo(
    () =>
      namesOf(
        [...plan.keys()].filter((key) => key !== MAIN || makesMain),
        { commonFolder, typed, datasets },
      ),
    [makesMain, plan, commonFolder, typed, datasets],
  );
  return {
    ...{ choices, clash, existing, role, plan, names, setClash, setExisting, setRole },
    choose: (path: string, choice: FolderChoice) => setChoices(withChoice(choices, path, choice)),
    nameOf: (key: string) => names.get(key) ?? { name: '', error: '' },
    setName: (key: string, name: string) => setTyped(new Map([...typed, [key, name]])),
    isValid: [...names.values()].every(({ error }) => error === ''),
  };
}

interface NameOptions {
  readonly commonFolder: string;
  readonly typed: ReadonlyMap<string, string>;
  readonly datasets: readonly Dataset[] | undefined;
}

/** The names of new datasets, each with why it is not possible; `''` if it is. The main one may be empty: the service makes a name. */
function namesOf(keys: readonly string[], { commonFolder, typed, datasets }: NameOptions) {
  const taken = new Set(datasets?.map(({ name }) => name));
  const names = new Map<string, { name: string; error: string }>();
  for (const key of keys) {
    const name =
      typed.get(key) ?? suggestName(datasetNameOf(key === MAIN ? commonFolder : key), (each) => !taken.has(each));
    names.set(key, { name, error: key === MAIN && name.trim() === '' ? '' : datasetNameErrorOf(name, taken) });
    taken.add(name.trim());
  }
  return names;
}
