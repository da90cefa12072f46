import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Dataset, DatasetWithFiles } from '../../src/client/client.js';
import { refetchDatasetSoon } from '../live/dataset.js';
import { putDataset, useDatasets } from '../live/datasets.js';
import { slotLabel, slotWord } from '../live/slot-words.js';
import { useClient } from '../session/client.js';
import { DialogForm, useRequesting } from '../session/dialog-form.js';
import { WriteButton } from '../session/write-button.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { messageOf } from '../ui/format.js';
import { LinkField } from './link-field.js';
import {
  type ChosenLinks,
  chosenLinksOf,
  controlSlotAt,
  MAX_CONTROLS,
  NO_LINKS,
  offersFor,
  requestOf,
  withControl,
} from './linkable.js';
import { PairState } from './pair-state.js';
import { RoleChange } from './role-change.js';

/** Links a training dataset to its controls and its mask. */
export function LinksDialog({ dataset, onClose }: { dataset: DatasetWithFiles; onClose: () => void }) {
  const { data: datasets, error, refetch } = useDatasets();
  return (
    <Dialog title={`Controls and mask of ${dataset.name}`} onClose={onClose} width="max-w-2xl">
      <p className="text-sm">
        An edit model trains on pairs: for each target in this dataset, an image of the same name in one to three
        control datasets. With a mask dataset, it trains on the white parts of each mask.
      </p>
      {datasets !== undefined ? (
        <LinksForm dataset={dataset} datasets={datasets} onClose={onClose} />
      ) : error === null ? (
        <p aria-live="polite">Loading …</p>
      ) : (
        <div role="alert" className="flex items-center gap-3 text-bad">
          {messageOf(error)} <Button onClick={() => void refetch()}>Try again</Button>
        </div>
      )}
    </Dialog>
  );
}

interface LinksFormProps {
  readonly dataset: DatasetWithFiles;
  readonly datasets: readonly Dataset[];
  readonly onClose: () => void;
}

function LinksForm({ dataset, datasets, onClose }: LinksFormProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [chosen, setChosen] = useState<ChosenLinks>(() => chosenLinksOf(dataset.links));
  const requesting = useRequesting();
  const { isBusy, run } = requesting;
  const save = async (links: ChosenLinks) => {
    await client.pairs.setLinks(dataset.id, requestOf(links));
    refetchDatasetSoon(queries, dataset.id);
    onClose();
  };
  const changeRole = (id: string, role: 'control' | 'mask') =>
    void run(async () => putDataset(queries, await client.datasets.change(id, { role })));

  const ids = [...chosen.controls, ...(chosen.mask === undefined ? [] : [chosen.mask])];
  const controlSlots = chosen.controls.map((_, index) => controlSlotAt(index));
  const fields = [
    ...Array.from({ length: Math.min(chosen.controls.length + 1, MAX_CONTROLS) }, (_, index) => ({
      slot: controlSlotAt(index),
      role: 'control' as const,
      id: chosen.controls[index],
      choose: (id: string | undefined) => setChosen(withControl(chosen, index, id)),
    })),
    {
      slot: 'mask' as const,
      role: 'mask' as const,
      id: chosen.mask,
      choose: (mask: string | undefined) => setChosen({ ...chosen, mask }),
    },
  ];
  const byId = new Map(datasets.map((each) => [each.id, each]));
  const isUnfit = fields.some(({ id, role }) => id !== undefined && byId.get(id)?.role !== role);

  return (
    <DialogForm
      requesting={requesting}
      work={() => save(chosen)}
      label="Save"
      busyLabel="Saving …"
      isDisabled={isUnfit}
      aside={
        dataset.links !== undefined && (
          <WriteButton
            kind="danger"
            disabled={isBusy}
            onClick={() => void run(() => save(NO_LINKS))}
            className="mr-auto"
          >
            Remove all links
          </WriteButton>
        )
      }
      onCancel={onClose}
    >
      {fields.map(({ slot, role, id, choose }) => {
        const value = id === undefined ? undefined : byId.get(id);
        const word = slotWord(slot, controlSlots);
        const saved = dataset.links?.[slot];
        return (
          <div key={slot} className="flex flex-col gap-1.5">
            <LinkField
              label={slotLabel(slot, controlSlots)}
              value={value}
              onChange={choose}
              {...offersFor(datasets, { role, own: dataset.id, chosen: ids })}
            />
            {value !== undefined && value.role !== role && (
              <RoleChange dataset={value} role={role} isBusy={isBusy} onChange={() => changeRole(value.id, role)} />
            )}
            {saved !== undefined && saved.dataset_id === id && <PairState link={saved} word={word} />}
          </div>
        );
      })}
    </DialogForm>
  );
}
