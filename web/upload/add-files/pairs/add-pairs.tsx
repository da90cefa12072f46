import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useLocation } from 'wouter';
import { PAIR_PARTS, pairDatasetsOf } from '../../../../src/dataset/pairs/pair-folders.js';
import { refetchDatasetSoon } from '../../../live/dataset.js';
import { putDataset, useDatasets } from '../../../live/datasets.js';
import { signOutIfUnauthorized, useClient } from '../../../session/client.js';
import { messageOf } from '../../../ui/format.js';
import { uploadQueue } from '../../queue/page-queue.js';
import { Preparing, usePrepared } from '../preparing.js';
import { suggestName } from '../suggest-name.js';
import type { DroppedPairs } from './dropped-pairs.js';
import { makePairedDatasets } from './make-datasets.js';
import { type ChosenUpload, PairsDialog } from './pairs-dialog.js';
import { type PairsToUpload, preparePairUpload } from './prepare-pairs.js';

interface AddPairsProps {
  readonly dropped: DroppedPairs;
  /** The dataset onto whose page the folder was dropped. */
  readonly datasetId: string | undefined;
  /** Uploads the files into one dataset. */
  readonly flat: ReactNode;
  readonly onDone: () => void;
}

/** Makes and links the datasets of a folder of pairs, or adds its parts to those that are linked, and uploads the files. */
export function AddPairs({ dropped, datasetId, flat, onDone }: AddPairsProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const { data: datasets } = useDatasets();
  const [isFlat, setFlat] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState('');
  const { prepared, error, retry } = usePrepared(async (signal) => {
    return (await preparePairUpload(client, dropped, datasetId, signal)) ?? null;
  });

  const upload = async (prepared: PairsToUpload, { toMake, filesOf }: ChosenUpload) => {
    setBusy(true);
    setFailure('');
    try {
      const { target, byPart, made } = await makePairedDatasets(client, prepared, toMake);
      for (const dataset of made) putDataset(queries, dataset);
      // The targets come last: until then, their dataset is not FAILED for want of controls.
      for (const part of prepared.parts.toSorted((a, b) => PAIR_PARTS.indexOf(b.part) - PAIR_PARTS.indexOf(a.part))) {
        const files = filesOf(part);
        const dataset = byPart.get(part.part);
        if (dataset !== undefined && files.length > 0) uploadQueue.add(dataset, files, { hidden: part.files.hidden });
      }
      refetchDatasetSoon(queries, target.id);
      onDone();
      navigate(`/datasets/${target.id}`);
    } catch (error) {
      setFailure(`Nothing was uploaded. ${messageOf(error)}`);
      setBusy(false);
      signOutIfUnauthorized(error);
    }
  };

  if (isFlat || prepared === null) return flat;
  if (prepared === undefined) return <Preparing error={error} onRetry={retry} onCancel={onDone} />;
  const taken = new Set(datasets?.map(({ name }) => name));
  const isFreeName = (name: string) => pairDatasetsOf(name, prepared.parts).every((each) => !taken.has(each.name));
  return (
    <PairsDialog
      prepared={prepared}
      suggestedName={prepared.target?.name ?? suggestName(prepared.folder, isFreeName)}
      taken={taken}
      isBusy={isBusy}
      failure={failure}
      onUpload={(chosen) => void upload(prepared, chosen)}
      onFlat={() => setFlat(true)}
      onCancel={onDone}
    />
  );
}
