import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useEffectEvent, useState } from 'react';
import { useLocation } from 'wouter';
import type { Dataset, TrainyardClient } from '../../../src/client/client.js';
import type { Role } from '../../../src/dataset/dataset.js';
import { type ImportedGroup, groupsToSave } from '../../../src/dataset/import/entry-paths.js';
import type { ImportChoices } from '../../../src/dataset/import/survey.js';
import { parseDatasetName } from '../../../src/dataset/names.js';
import { putDataset } from '../../live/datasets.js';
import { NameField } from '../../new-dataset/name-field.js';
import { RoleChoice } from '../../roles/role-choice.js';
import { useClient } from '../../session/client.js';
import { DialogForm, useRequesting } from '../../session/dialog-form.js';
import { Button } from '../../ui/button.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { countOf } from '../../ui/format.js';
import { uploadQueue } from '../queue/upload-queue.js';
import type { QueuedFile } from '../queue/queued-file.js';
import type { DroppedFile } from './dropped-files.js';
import { CaptionChoices, NameChoices } from './name-choices.js';
import { FolderList } from './folder-list.js';
import type { PlannedUpload } from './plan-upload.js';
import { Preparing, usePrepared } from './preparing.js';
import { type PreparedUpload, prepareUpload } from './prepare-upload.js';
import { SkippedFiles } from './skipped-files.js';
import { MAIN, useUploadChoices } from './upload-choices.js';

interface AddUploadProps {
  readonly files: Promise<readonly DroppedFile[]>;
  /** `undefined` for a new dataset. */
  readonly datasetId: string | undefined;
  readonly onDone: () => void;
}

/** Uploads files into a dataset or a new one. Asks first if something is to be decided. */
export function AddUpload({ files, datasetId, onDone }: AddUploadProps) {
  const client = useClient();
  const [choices, setChoices] = useState<ImportChoices>({});
  const { prepared, error, retry } = usePrepared(
    (signal) => prepareUpload(client, files, { datasetId, choices, signal }),
    choices,
  );
  if (prepared === undefined) return <Preparing error={error} onRetry={retry} onCancel={onDone} />;
  return (
    <PreparedAddition
      prepared={prepared}
      captions={<CaptionChoices prepared={prepared} choices={choices} onChange={setChoices} />}
      onDone={onDone}
    />
  );
}

interface PreparedProps {
  readonly prepared: PreparedUpload;
  /** The choices among captions of several sources. */
  readonly captions: ReactNode;
  readonly onDone: () => void;
}

function PreparedAddition({ prepared, captions, onDone }: PreparedProps) {
  const { dataset, rejected, hidden, folders, isArchive, tables, severalSources } = prepared;
  const chosen = useUploadChoices(prepared);
  const { plan } = chosen;
  const isChosen = isArchive || tables.length + severalSources > 0;
  const isPlain = dataset !== undefined && !isListed(folders) && rejected.length === 0 && !isChosen;
  const isAtOnce = isPlain && plan.main.length > 0 && plan.overwriting.length + plan.clashing.length === 0;
  const uploadAtOnce = useEffectEvent(() => {
    if (dataset !== undefined) uploadQueue.add(dataset, plan.main, { hidden, groups: groupsFor(dataset, plan) });
    onDone();
  });
  useEffect(() => {
    if (isAtOnce) uploadAtOnce();
  }, [isAtOnce]);
  if (isAtOnce) return null;
  if (prepared.candidates.length === plan.unchanged) return <NothingToUpload prepared={prepared} onDone={onDone} />;
  return <AddDialog prepared={prepared} captions={captions} chosen={chosen} onDone={onDone} />;
}

function NothingToUpload({ prepared, onDone }: Omit<PreparedProps, 'captions'>) {
  const { rejected, hidden, candidates } = prepared;
  const unchanged = candidates.length;
  return (
    <Dialog title="Nothing to upload" onClose={onDone} width="max-w-2xl">
      <SkippedFiles rejected={rejected} hidden={hidden} unchanged={unchanged} />
      {rejected.length + hidden + unchanged === 0 && <p>The folder contains no files.</p>}
      <DialogActions>
        <Button onClick={onDone}>Close</Button>
      </DialogActions>
    </Dialog>
  );
}

interface AddDialogProps extends PreparedProps {
  readonly chosen: ReturnType<typeof useUploadChoices>;
}

function AddDialog({ prepared, captions, chosen, onDone }: AddDialogProps) {
  const { dataset, rejected, hidden, folders } = prepared;
  const { plan, choices, clash, existing, role, makesMain, nameOf } = chosen;
  const requesting = useRequesting();
  const upload = useUpload(prepared, chosen, onDone);
  const files = filesIn(plan).length;
  return (
    <Dialog
      title={dataset === undefined ? 'New dataset' : `Add to ${dataset.name}`}
      onClose={() => requesting.isBusy || onDone()}
      width="max-w-2xl"
    >
      <DialogForm
        requesting={requesting}
        work={upload}
        label={submitLabelOf(plan, makesMain)}
        busyLabel="Creating …"
        isDisabled={!chosen.isValid || files === 0}
        onCancel={() => requesting.isBusy || onDone()}
      >
        {makesMain && (
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
        <SkippedFiles rejected={rejected} hidden={hidden} unchanged={plan.unchanged} />
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
    const { plan, makesMain, nameOf, role } = chosen;
    const toMake = [
      ...(makesMain ? [{ name: nameOf(MAIN).name, files: plan.main, folder: '' }] : []),
      ...[...plan.own].map(([folder, files]) => ({ name: nameOf(folder).name, files, folder })),
    ];
    const made = await makeDatasets(client, toMake, role);
    for (const each of made) putDataset(queries, each.dataset);
    const additions = [...(dataset === undefined ? [] : [{ dataset, files: plan.main, folder: '' }]), ...made];
    for (const [index, { files, folder, ...each }] of additions.entries()) {
      const groups = groupsFor(each.dataset, plan, folder);
      if (files.length > 0) uploadQueue.add(each.dataset, files, { hidden: index === 0 ? hidden : 0, groups });
    }
    onDone();
    if (dataset !== undefined) return;
    const [first] = made;
    navigate(first !== undefined && (makesMain || made.length === 1) ? `/datasets/${first.dataset.id}` : '/');
  };
}

/** Whether a folder asks for a decision, or says the repeats of its files. */
function isListed(folders: PreparedUpload['folders']): boolean {
  return folders.length > 1 || folders.some(({ kohya }) => kohya !== undefined);
}

function groupsFor(dataset: Dataset, { groups }: PlannedUpload, folder = ''): ImportedGroup[] {
  return groupsToSave(groups.get(folder) ?? [], dataset);
}

interface DatasetToMake {
  readonly name: string;
  readonly folder: string;
  readonly files: readonly QueuedFile[];
}

/** After a failure, none of the datasets is left. @throws TrainyardError, such as `name_taken` */
async function makeDatasets(client: TrainyardClient, toMake: readonly DatasetToMake[], role: Role) {
  const made: { dataset: Dataset; files: readonly QueuedFile[]; folder: string }[] = [];
  try {
    for (const { name, ...rest } of toMake) {
      const parsed = name.trim() === '' ? undefined : parseDatasetName(name);
      made.push({ dataset: await client.create(parsed, { role }), ...rest });
    }
    return made;
  } catch (error) {
    for (const { dataset } of made) await client.remove(dataset.id).catch(() => {});
    throw error;
  }
}

function filesIn({ main, own }: PlannedUpload): QueuedFile[] {
  return [...main, ...[...own.values()].flat()];
}

function submitLabelOf(plan: PlannedUpload, makesMain: boolean): string {
  const files = countOf(filesIn(plan).length, 'file');
  const datasets = plan.own.size + (makesMain ? 1 : 0);
  if (datasets === 0) return `Upload ${files}`;
  return datasets === 1 && makesMain
    ? `Create and upload ${files}`
    : `Create ${countOf(datasets, 'dataset')}, upload ${files}`;
}
