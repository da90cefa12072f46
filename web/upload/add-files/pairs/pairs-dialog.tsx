import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useMemo, useState } from 'react';
import { useLocation } from 'wouter';
import type { PushFile } from '../../../../src/client/client.js';
import type { LinkSlot } from '../../../../src/dataset/dataset.js';
import { type FileKind, mediaTypeOf } from '../../../../src/dataset/media.js';
import type { PairProof } from '../../../../src/dataset/pairs/pair-faults.js';
import { PAIR_PARTS, pairDatasetsOf } from '../../../../src/dataset/pairs/pair-folders.js';
import { LINK_SLOTS, roleOfSlot } from '../../../../src/dataset/pairs/roles.js';
import { refetchDatasetSoon } from '../../../live/dataset.js';
import { putDataset, useDatasets } from '../../../live/datasets.js';
import { slotWord } from '../../../live/slot-words.js';
import { NameField } from '../../../new-dataset/name-field.js';
import { useClient } from '../../../session/client.js';
import { useRequesting } from '../../../session/dialog-form.js';
import { Button } from '../../../ui/button.js';
import { Dialog, DialogActions } from '../../../ui/dialog.js';
import { capitalized, countOf, messageOf, numberOf, shortListOf } from '../../../ui/format.js';
import { Alert } from '../../../ui/loaded.js';
import { uploadQueue } from '../../queue/upload-queue.js';
import { SkippedFiles } from '../skipped-files.js';
import { makeDatasets, suggestName } from '../new-datasets.js';
import type { PairsToUpload, PreparedPart } from './prepare-pairs.js';

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
  const added = parts.reduce((sum, part) => sum + part.added.length, 0);
  const overwriting = parts.reduce((sum, part) => sum + part.overwriting.length, 0);
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
        <Alert>{failure && `Nothing was uploaded. ${failure}`}</Alert>
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
    const links = prepared.target?.links ?? {};
    const wanted = parts.flatMap((each) => (each.dataset === undefined ? [{ ...each, key: each.part }] : []));
    const made = await makeDatasets(client, wanted, async (datasets) => {
      if (wanted.every(({ part }) => part === 'target')) return;
      const { id } = prepared.target ?? datasets.get('target')!;
      // Other links of the training dataset stay as they are.
      const idOf = (slot: LinkSlot) => datasets.get(slot)?.id ?? links[slot]?.dataset_id ?? null;
      await client.pairs.setLinks(id, Object.fromEntries(LINK_SLOTS.map((slot) => [slot, idOf(slot)])));
    });
    for (const dataset of made.values()) putDataset(queries, dataset);
    // The targets come last: until then, their dataset is not FAILED for want of controls.
    const ordered = parts.toSorted((a, b) => PAIR_PARTS.indexOf(b.part) - PAIR_PARTS.indexOf(a.part));
    for (const { part, dataset, added, overwriting, hidden } of ordered) {
      const toSend = withOverwriting ? [...added, ...overwriting] : added;
      if (toSend.length > 0) uploadQueue.add(dataset ?? made.get(part)!, toSend, { hidden });
    }
    const target = prepared.target ?? made.get('target')!;
    refetchDatasetSoon(queries, target.id);
    onDone();
    navigate(`/datasets/${target.id}`);
  };
}

/** A part of the folder, and the dataset that it becomes or is added to. */
type NamedPart = ReturnType<typeof useNames>['parts'][number];

/** The name of the new datasets, and each part with the name of its dataset, which has the part after it. */
function useNames({ target, folder, parts }: PairsToUpload) {
  const { data: datasets } = useDatasets();
  const [typed, setName] = useState<string>();
  const taken = useMemo(() => new Set(datasets?.map((dataset) => dataset.name)), [datasets]);
  const isFree = (name: string) => pairDatasetsOf(name, parts).every((each) => !taken.has(each.name));
  const name = typed ?? target?.name ?? suggestName(folder, isFree);
  const named = parts.map((part) => {
    if (part.dataset !== undefined) return { ...part, name: part.dataset.name, role: part.dataset.role, nameError: '' };
    try {
      const { name: own, role } = pairDatasetsOf(name, [part])[0]!;
      const error = `A dataset named "${own}" already exists. Choose another name.`;
      /** Why no dataset of this name can be made; `''` if one can. */
      const nameError = taken.has(own) ? error : '';
      return { ...part, name: own, role, nameError };
    } catch (error) {
      return { ...part, name: part.folder, role: 'training' as const, nameError: messageOf(error) };
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

/** Stems that a line names. */
const MAX_NAMES = 10;

/** The datasets of a folder of pairs, with what will be uploaded to each and what will be wrong with the pairs. */
function PartList({ parts }: { parts: readonly NamedPart[] }) {
  const slots = parts.flatMap(({ part }) => (part === 'target' ? [] : part));
  return (
    <ul aria-label="Datasets of the folder" className="divide-y divide-line rounded-lg border border-line text-sm">
      {parts.map(({ part, name, dataset, nameError, proof, ...files }) => (
        <li key={part} className="flex flex-col gap-0.5 px-3 py-2">
          <p className="flex flex-wrap gap-x-3">
            <span className="font-medium break-all">{name}</span>
            <span className="text-muted">
              {dataset === undefined ? 'new ' : ''}
              {part === 'target' ? 'training dataset' : slotWord(part, slots)}
            </span>
          </p>
          <p>{contentsTextOf(files, dataset !== undefined)}</p>
          <Alert>{nameError}</Alert>
          {part !== 'target' && proof !== undefined && <ProofLines proof={proof} slot={part} />}
        </li>
      ))}
    </ul>
  );
}

function contentsTextOf(
  { added, overwriting, unchanged }: Pick<PreparedPart, 'added' | 'overwriting' | 'unchanged'>,
  exists: boolean,
): string {
  if (!exists) return kindsTextOf(added);
  const parts = [
    added.length > 0 && `${numberOf(added.length)} new: ${kindsTextOf(added)}`,
    overwriting.length > 0 && `${countOf(overwriting.length, 'file')} of the same name with other bytes`,
    unchanged > 0 && `${countOf(unchanged, 'file')} there already`,
  ].filter(Boolean);
  return parts.length === 0 ? 'no files' : parts.join(', ');
}

/** `12 images, 12 captions`. */
function kindsTextOf(files: readonly PushFile[]): string {
  const counted = (kind: FileKind, noun: string) => {
    const count = files.filter(({ name }) => mediaTypeOf(name)?.kind === kind).length;
    return count > 0 ? [countOf(count, noun)] : [];
  };
  const kinds = [...counted('image', 'image'), ...counted('video', 'clip'), ...counted('caption', 'caption')];
  return kinds.length === 0 ? 'no files' : kinds.join(', ');
}

function ProofLines({ proof, slot }: { proof: PairProof; slot: LinkSlot }) {
  const noun = roleOfSlot(slot);
  const { missing, ambiguous, extra, clip } = proof;
  const lines = [
    { isError: true, stems: missing, text: `No ${noun} for ${countOf(missing.length, 'target')}` },
    { isError: true, stems: ambiguous, text: `Several images for ${countOf(ambiguous.length, noun)}` },
    { isError: false, stems: extra, text: `No target for ${countOf(extra.length, noun)}` },
    { isError: false, stems: clip, text: `A clip, and no image, for ${countOf(clip.length, 'target')}` },
  ].filter(({ stems }) => stems.length > 0);
  if (lines.length === 0) return <p className="text-good">Each target has its {noun}.</p>;
  return lines.map(({ isError, stems, text }) => (
    <p key={text} className={`wrap-anywhere ${isError ? 'text-bad' : 'text-warn'}`}>
      {`${text}: ${shortListOf(stems, MAX_NAMES)}.`}
    </p>
  ));
}
