import { type FormEvent, useMemo, useState } from 'react';
import type { PushFile } from '../../../../src/client/client.js';
import { type PairDataset, pairDatasetsOf } from '../../../../src/dataset/pairs/pair-folders.js';
import { NameField } from '../../../new-dataset/name-field.js';
import { Button } from '../../../ui/button.js';
import { Dialog, DialogActions } from '../../../ui/dialog.js';
import { capitalized, countOf, messageOf } from '../../../ui/format.js';
import { SkippedFiles } from '../skipped-files.js';
import { type NamedPart, PartList } from './part-list.js';
import type { PairsToUpload, PreparedPart } from './prepare-pairs.js';

/** What the user has chosen to upload. */
export interface ChosenUpload {
  readonly toMake: readonly PairDataset[];
  readonly filesOf: (part: PreparedPart) => readonly PushFile[];
}

interface PairsDialogProps {
  readonly prepared: PairsToUpload;
  /** Stands in the field until something is typed; changes when the names of the datasets arrive. */
  readonly suggestedName: string;
  /** Names of existing datasets. */
  readonly taken: ReadonlySet<string>;
  readonly isBusy: boolean;
  /** Why the datasets could not be made; `''` if they could. */
  readonly failure: string;
  readonly onUpload: (chosen: ChosenUpload) => void;
  /** Uploads all files as one dataset, or into the dataset of the page. */
  readonly onFlat: () => void;
  readonly onCancel: () => void;
}

/** Shows which datasets a folder of pairs becomes or is added to, and what will be wrong with the pairs. */
export function PairsDialog(props: PairsDialogProps) {
  const { prepared, suggestedName, taken, isBusy, failure, onUpload, onFlat, onCancel } = props;
  const { target, rejected, hidden, fault } = prepared;
  const [typed, setTyped] = useState<string>();
  const name = typed ?? suggestedName;
  const parts = useMemo(() => namedPartsOf(prepared, name, taken), [prepared, name, taken]);
  const toMake = parts.filter(({ dataset }) => dataset === undefined);
  const added = parts.reduce((sum, { files }) => sum + files.added.length, 0);
  const overwriting = parts.reduce((sum, { files }) => sum + files.overwriting.length, 0);
  const canUpload = fault === undefined && !isBusy && parts.every(({ nameError }) => nameError === '');
  const flat = target === undefined ? 'Upload as one dataset' : 'Add all to one dataset';

  const upload = (withOverwriting: boolean) => {
    // The suggestion is another one as soon as a dataset has this name.
    setTyped(name);
    onUpload({
      toMake: toMake.length === 0 ? [] : datasetsNamed(name, toMake),
      filesOf: ({ files }) => (withOverwriting ? [...files.added, ...files.overwriting] : files.added),
    });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (canUpload) upload(true);
  };
  // The datasets are made by several requests, of which the first may have succeeded.
  const cancel = () => isBusy || onCancel();

  return (
    <Dialog title={titleOf(prepared, toMake.length)} onClose={cancel} width="max-w-2xl">
      <form onSubmit={submit} className="flex flex-col gap-4">
        {fault !== undefined ? (
          <p role="alert" className="text-sm text-bad">
            {fault}
          </p>
        ) : (
          <>
            {toMake.length > 0 && (
              <NameField
                label={target === undefined ? 'Name' : 'Name of the new datasets'}
                name={name}
                error=""
                help="Controls and masks get it with their part after it."
                onChange={setTyped}
              />
            )}
            <PartList parts={parts} />
            <SkippedFiles rejected={rejected} hidden={hidden} />
          </>
        )}
        <p role="alert" className="text-sm text-bad wrap-anywhere empty:hidden">
          {failure}
        </p>
        <DialogActions>
          <Button kind="quiet" className="mr-auto" disabled={isBusy} onClick={onFlat}>
            {flat}
          </Button>
          <Button disabled={isBusy} onClick={cancel}>
            {added + overwriting + toMake.length === 0 ? 'Close' : 'Cancel'}
          </Button>
          {overwriting > 0 && (
            <Button disabled={!canUpload} onClick={() => upload(false)}>
              Skip existing files
            </Button>
          )}
          {added + overwriting + toMake.length > 0 && (
            <Button type="submit" kind="primary" disabled={!canUpload}>
              {isBusy ? 'Creating the datasets …' : submitTextOf({ toMake: toMake.length, added, overwriting })}
            </Button>
          )}
        </DialogActions>
      </form>
    </Dialog>
  );
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

function datasetsNamed(name: string, parts: readonly PreparedPart[]): PairDataset[] {
  return pairDatasetsOf(name, parts);
}

/** Each part with the name of its dataset. A new one has the given name, with the part after it. */
function namedPartsOf({ parts }: PairsToUpload, name: string, taken: ReadonlySet<string>): NamedPart[] {
  return parts.map((part) => {
    if (part.dataset !== undefined) return { ...part, name: part.dataset.name, nameError: '' };
    try {
      const [made] = datasetsNamed(name, [part]);
      const isTaken = taken.has(made!.name);
      const nameError = isTaken ? `A dataset named "${made!.name}" already exists. Choose another name.` : '';
      return { ...part, name: made!.name, nameError };
    } catch (error) {
      return { ...part, name: part.folder, nameError: messageOf(error) };
    }
  });
}
