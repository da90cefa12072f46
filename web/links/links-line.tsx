import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { LINK_SLOTS } from '../../src/dataset/pairs/roles.js';
import { slotWord } from '../live/slot-words.js';
import { capitalized } from '../ui/format.js';

/** The controls and the mask of a training dataset, or the training datasets that use a control or mask. */
export function LinksLine({ dataset }: { dataset: Pick<DatasetWithFiles, 'role' | 'links' | 'linked_from'> }) {
  const { role, links, linked_from: users = [] } = dataset;
  if (role !== 'training') {
    return (
      <p className="text-sm text-muted">
        {users.length === 0 ? (
          'No training dataset uses it yet. Link it on the page of a training dataset.'
        ) : (
          <>
            Used by <DatasetNames datasets={users} />
          </>
        )}
      </p>
    );
  }
  const slots = LINK_SLOTS.filter((slot) => links?.[slot] !== undefined);
  if (slots.length === 0) return null;
  return (
    <ul aria-label="Controls and mask" className="flex flex-wrap gap-x-4 text-sm text-muted">
      {slots.map((slot) => {
        const { dataset_id, name } = links![slot]!;
        return (
          <li key={slot}>
            {capitalized(slotWord(slot, slots))}: <DatasetNames datasets={[{ id: dataset_id, name }]} />
          </li>
        );
      })}
    </ul>
  );
}

/** The names of datasets, each a link to its page. */
export function DatasetNames({ datasets }: { datasets: readonly { readonly id: string; readonly name: string }[] }) {
  return datasets.map(({ id, name }, index) => (
    <span key={id}>
      {index > 0 && ', '}
      <Link href={`/datasets/${id}`} className="break-all text-link">
        {name}
      </Link>
    </span>
  ));
}
