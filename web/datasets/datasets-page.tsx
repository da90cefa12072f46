import { Link } from 'wouter';
import { useDatasets } from '../live/datasets.js';
import { StatusBadge } from '../ui/status-badge.js';
import { messageOf } from '../ui/words.js';

/** All datasets of the account. */
export function DatasetsPage() {
  const { data: datasets, error } = useDatasets();
  return (
    <>
      <h1 className="text-xl font-semibold">Datasets</h1>
      {error !== null && <p role="alert">{messageOf(error)}</p>}
      <ul>
        {datasets?.map(({ id, name, status }) => (
          <li key={id}>
            <Link href={`/datasets/${id}`}>{name}</Link> <StatusBadge status={status} />
          </li>
        ))}
      </ul>
    </>
  );
}
