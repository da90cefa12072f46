import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Dataset, DatasetWithFiles, Link } from '../../src/client/client.js';
import type { LinkSlot } from '../../src/dataset/dataset.js';
import { LINK_SLOTS, linksIn, roleOfSlot } from '../../src/dataset/pairs/roles.js';
import { refetchDatasetSoon } from '../live/dataset.js';
import { putDataset, useDatasets } from '../live/datasets.js';
import { slotWord } from '../live/slot-words.js';
import { useCanWrite } from '../session/account.js';
import { useClient } from '../session/client.js';
import { DialogForm, useRequesting } from '../session/dialog-form.js';
import { WriteButton } from '../session/write-button.js';
import { Loaded } from '../ui/loaded.js';
import { Dialog } from '../ui/dialog.js';
import { SelectField } from '../ui/fields.js';
import { capitalized, countOf, numberOf, shortListOf } from '../ui/format.js';

/** Links a training dataset to its controls and its mask. */
export function LinksDialog({ dataset, onClose }: { dataset: DatasetWithFiles; onClose: () => void }) {
  const datasets = useDatasets();
  return (
    <Dialog title={`Controls and mask of ${dataset.name}`} onClose={onClose} width="max-w-2xl">
      <p className="text-sm">
        An edit model trains on pairs: for each target in this dataset, an image of the same name in one to three
        control datasets. With a mask dataset, it trains on the white parts of each mask.
      </p>
      <Loaded of={datasets}>{(all) => <LinksForm dataset={dataset} datasets={all} onClose={onClose} />}</Loaded>
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
  const canWrite = useCanWrite();
  // The part that is not edited here follows what other clients change.
  const [edited, setEdited] = useState<{ readonly controls?: ChosenLinks; readonly mask?: ChosenLinks }>({});
  const current = partsOf(chosenLinksOf(dataset));
  const chosen: ChosenLinks = { ...(edited.controls ?? current.controls), ...(edited.mask ?? current.mask) };
  const choose = (slot: LinkSlot, id: string | undefined) => {
    const { controls, mask } = partsOf(withLink(chosen, slot, id));
    setEdited({ ...edited, ...(slot === 'mask' ? { mask } : { controls }) });
  };
  const requesting = useRequesting();
  const { isBusy, run } = requesting;
  const save = async (links: ChosenLinks) => {
    await client.pairs.setLinks(dataset.id, links);
    refetchDatasetSoon(queries, dataset.id);
    onClose();
  };
  const changeRole = (id: string, role: 'control' | 'mask') =>
    void run(async () => putDataset(queries, await client.datasets.change(id, { role })));

  const byId = new Map(datasets.map((each) => [each.id, each]));
  const controls = CONTROL_SLOTS.filter((slot) => chosen[slot] !== undefined);
  const slots: LinkSlot[] = [...CONTROL_SLOTS.slice(0, controls.length + 1), 'mask'];
  const isUnfit = slots.some((slot) => chosen[slot] !== undefined && byId.get(chosen[slot])?.role !== roleOfSlot(slot));

  return (
    <DialogForm
      requesting={requesting}
      work={() => save(chosen)}
      label="Save"
      busyLabel="Saving …"
      isDisabled={isUnfit}
      aside={
        dataset.links !== undefined && (
          <WriteButton kind="danger" disabled={isBusy} onClick={() => void run(() => save({}))} className="mr-auto">
            Remove all links
          </WriteButton>
        )
      }
      onCancel={onClose}
    >
      {slots.map((slot) => {
        const [id, role] = [chosen[slot], roleOfSlot(slot)];
        const value = id === undefined ? undefined : byId.get(id);
        const saved = dataset.links?.[slot];
        // Each dataset is linked in one slot only.
        const linked = [dataset.id, ...Object.values(chosen)];
        const free = datasets.filter((each) => !linked.includes(each.id)).sort(byName);
        const fitting = free.filter((each) => each.role === role);
        const others = free.filter((each) => each.role === 'training');
        return (
          <div key={slot} className="flex flex-col gap-1.5">
            <SelectField
              label={<span className="inline-block w-24">{capitalized(slotWord(slot, controls))}</span>}
              disabled={!canWrite}
              value={value?.id ?? ''}
              options={[{ value: '', label: 'None' }, ...[value ?? [], fitting].flat().map(optionOf)]}
              onChange={(next) => choose(slot, next === '' ? undefined : next)}
              className="min-w-0 grow"
            >
              {others.length > 0 && (
                <optgroup label="Training datasets">
                  {others.map(({ id, name }) => (
                    <option key={id} value={id}>
                      {name}
                    </option>
                  ))}
                </optgroup>
              )}
            </SelectField>
            {value !== undefined && value.role !== role && (
              <RoleChange dataset={value} role={role} isBusy={isBusy} onChange={() => changeRole(value.id, role)} />
            )}
            {saved !== undefined && saved.dataset_id === id && (
              <PairState link={saved} word={slotWord(slot, controls)} />
            )}
          </div>
        );
      })}
    </DialogForm>
  );
}

function optionOf({ id, name }: Dataset) {
  return { value: id, label: name };
}

interface RoleChangeProps {
  readonly dataset: Dataset;
  readonly role: 'control' | 'mask';
  readonly isBusy: boolean;
  readonly onChange: () => void;
}

/** Offers to give a training dataset the role that a link needs, and says what that means. */
function RoleChange({ dataset: { name, counts }, role, isBusy, onChange }: RoleChangeProps) {
  return (
    <div className="flex flex-wrap items-center gap-3 rounded-lg bg-warn-soft p-3 text-sm text-warn">
      <p className="min-w-48 grow basis-0 wrap-anywhere">
        {name} is a training dataset. As a {role} dataset, it is not trained on by itself
        {counts.captions > 0 && `, and its captions (${numberOf(counts.captions)}) are not used`}. Its files stay as
        they are.
      </p>
      <WriteButton disabled={isBusy} onClick={onChange}>
        Make it a {role} dataset
      </WriteButton>
    </div>
  );
}

const MAX_STEMS = 5;

/** What is missing in a link, as it is saved. */
function PairState({ link, word }: { link: Link; word: string }) {
  const { missing, ambiguous, misfit, stretched, extra, status } = link;
  const namesOf = ({ stems, count }: Link['missing']) => shortListOf(stems, MAX_STEMS, count);
  const lines = [
    missing.count > 0 && `No ${word} for ${countOf(missing.count, 'target')}: ${namesOf(missing)}`,
    ambiguous.count > 0 && `Several files of one name: ${namesOf(ambiguous)}`,
    misfit.count > 0 && `The sizes do not fit: ${namesOf(misfit)}`,
    stretched.count > 0 && `Of another aspect ratio: ${namesOf(stretched)}`,
    extra.count > 0 && `No target for ${countOf(extra.count, 'file')}: ${namesOf(extra)}`,
    status !== 'READY' && `The dataset is ${status}`,
  ].filter((line) => line !== false);
  return (
    <ul className="flex flex-col gap-0.5 text-sm text-muted sm:pl-27">
      {lines.length === 0 && <li className="text-good">Each target has its {word}.</li>}
      {lines.map((line) => (
        <li key={line} className="wrap-anywhere">
          {line}.
        </li>
      ))}
    </ul>
  );
}

/** The ids of the controls and the mask that a person has chosen. The controls have no gaps. */
type ChosenLinks = { readonly [Slot in LinkSlot]?: string };

const CONTROL_SLOTS = LINK_SLOTS.filter((slot) => slot !== 'mask');

const byName = (a: Dataset, b: Dataset) => a.name.localeCompare(b.name, 'en', { numeric: true });

function chosenLinksOf({ links }: DatasetWithFiles): ChosenLinks {
  return Object.fromEntries(linksIn(links).map(({ slot, dataset_id }) => [slot, dataset_id]));
}

/** Chooses the dataset of a slot, or removes it; the controls behind it then move up. */
function withLink(chosen: ChosenLinks, slot: LinkSlot, id: string | undefined): ChosenLinks {
  const { controls, mask } = partsOf({ ...chosen, [slot]: id });
  const ids = CONTROL_SLOTS.flatMap((each) => controls[each] ?? []);
  return { ...Object.fromEntries(ids.map((control, index) => [CONTROL_SLOTS[index], control])), ...mask };
}

function partsOf({ mask, ...controls }: Partial<Record<LinkSlot, string | undefined>>) {
  return { controls: controls as ChosenLinks, mask: mask === undefined ? {} : { mask } };
}
