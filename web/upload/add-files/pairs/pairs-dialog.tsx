import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useMemo, useState } from 'react';
import { useLocation } from 'wouter';
import { PAIR_PARTS, pairDatasetsOf } from '../../../../src/dataset/pairs/pair-folders.js';
import { refetchDatasetSoon } from '../../../live/dataset.js';
import { putDataset, useDatasets } from '../../../live/datasets.js';
import { NameField } from '../../../new-dataset/name-field.js';
import { useClient } from '../../../session/client.js';
import { useRequesting } from '../../../session/dialog-form.js';
import { Alert } from '../../../ui/loaded.js';
import { Button } from '../../../ui/button.js';
import { Dialog, DialogActions } from '../../../ui/dialog.js';
import { capitalized, countOf, messageOf } from '../../../ui/format.js';
import { uploadQueue } from '../../queue/upload-queue.js';
import { SkippedFiles } from '../skipped-files.js';
import { suggestName } from '../suggest-name.js';
import { type NamedPart, PartList } from './part-list.js';
import { makePairedDatasets, type PairsToUpload } from './prepare-pairs.js';

interface PairsDialogProps {
  readonly prepared: PairsToUpload;
  /** Uploads all files as one dataset, or into the dataset of the page. */
  readonly onFlat: () => void;
  readonly onDone: () => void;
}

/**
 * Shows which datasets a folder of pairs becomes or is added to, and what will be wrong with the pairs. Makes and links the
 * datasets, and uploads the files.
 */
export function PairsDialog({ prepared, onFlat, onDone }: PairsDialogProps) {
  const { target, rejected, hidden, fault } = prepared;
  const { failure, isBusy, run } = useRequesting();
  const upload = useUpload(prepared, onDone);
  const { name, parts, setName } = useNames(prepared);
  const toMake = parts.filter(({ dataset }) => dataset === undefined);
  const added = parts.reduce((sum, { files }) => sum + files.added.length, 0);
  const overwriting = parts.reduce((sum, { files }) => sum + files.overwriting.length, 0);
  const canUpload = fault === undefined && !isBusy && parts.every(({ nameError }) => nameError === '');
  const isNothing = added + overwriting + toMake.length === 0;
  const start = (withOverwriting: boolean) => {
    // The suggestion is another one as soon as a dataset has this name.
    setName(name);
    void run(() => upload(parts, withOverwriting));
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (canUpload) start(true);
  };
  // The datasets are made by several requests, of which the first may have succeeded.
  const cancel = () => isBusy || onDone();
  return (
    <Dialog title={titleOf(prepared, toMake.length)} onClose={cancel} width="max-w-2xl">
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Alert>{fault}</Alert>
        {fault === undefined && (
          <>
            {toMake.length > 0 && (
              <NameField
                label={target === undefined ? 'Name' : 'Name of the new datasets'}
                name={name}
                error=""
                help="Controls and masks get it with their part after it."
                onChange={setName}
              />
            )}
            <PartList parts={parts} />
            <SkippedFiles rejected={rejected} hidden={hidden} />
          </>
        )}
        <Alert>{failure}</Alert>
        <DialogActions>
          <Button kind="quiet" className="mr-auto" disabled={isBusy} onClick={onFlat}>
            {target === undefined ? 'Upload as one dataset' : 'Add all to one dataset'}
          </Button>
          <Button disabled={isBusy} onClick={cancel}>
            {isNothing ? 'Close' : 'Cancel'}
          </Button>
          {overwriting > 0 && (
            <Button disabled={!canUpload} onClick={() => start(false)}>
              Skip existing files
            </Button>
          )}
          {!isNothing && (
            <Button type="submit" kind="primary" disabled={!canUpload}>
              {isBusy ? 'Creating the datasets …' : submitTextOf({ toMake: toMake.length, added, overwriting })}
            </Button>
          )}
        </DialogActions>
      </form>
    </Dialog>
  );
}

/** Returns a function that makes the datasets, queues the files, and opens the training dataset. */
function useUpload(prepared: PairsToUpload, onDone: () => void) {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  return async (parts: readonly NamedPart[], withOverwriting: boolean) => {
    const { target, byPart, made } = await makePairedDatasets(client, prepared.target, parts);
    for (const dataset of made) putDataset(queries, dataset);
    // The targets come last: until then, their dataset is not FAILED for want of controls.
    for (const { part, files } of parts.toSorted((a, b) => PAIR_PARTS.indexOf(b.part) - PAIR_PARTS.indexOf(a.part))) {
      const dataset = byPart.get(part);
      const toSend = withOverwriting ? [...files.added, ...files.overwriting] : files.added;
      if (dataset !== undefined && toSend.length > 0) uploadQueue.add(dataset, toSend, { hidden: files.hidden });
    }
    refetchDatasetSoon(queries, target.id);
    onDone();
    navigate(`/datasets/${target.id}`);
  };
}

/** The name of the new datasets, and each part with the name of its dataset, which has the part after it. */
function useNames({ target, folder, parts }: PairsToUpload) {
  const { data: datasets } = useDatasets();
  const [typed, setName] = useState<string>();
  const taken = useMemo(() => new Set(datasets?.map((dataset) => dataset.name)), [datasets]);
  const isFree = (name: string) => pairDatasetsOf(name, parts).every((each) => !taken.has(each.name));
  const name = typed ?? target?.name ?? suggestName(folder, isFree);
  const named = parts.map((part): NamedPart => {
    if (part.dataset !== undefined) return { ...part, name: part.dataset.name, role: part.dataset.role, nameError: '' };
    try {
      const { name: own, role } = pairDatasetsOf(name, [part])[0]!;
      const error = `A dataset named "${own}" already exists. Choose another name.`;
      return { ...part, name: own, role, nameError: taken.has(own) ? error : '' };
    } catch (error) {
      return { ...part, name: part.folder, role: 'training', nameError: messageOf(error) };
    }
  });
  return { name, parts: named, setName };
}

function titleOf({ target, folder }: PairsToUpload, toMake: number): string {
  if (target !== undefined && toMake === 0) return `Add to ${target.name} and what it is linked to`;
  const of = folder === '' ? 'this folder' : folder;
  return target === undefined ? `Create linked datasets from ${of}` : `Add to ${target.name} and link new datasets`;
}

function submitTextOf(counts: { toMake: number; added: number; overwriting: number }): string {
  const { toMake, added, overwriting } = counts;
  const upload = `${overwriting > 0 ? 'overwrite and upload' : 'upload'} ${countOf(added + overwriting, 'file')}`;
  if (toMake === 0) return capitalized(upload);
  return `Create and link ${countOf(toMake, 'dataset')}, ${upload}`;
}
