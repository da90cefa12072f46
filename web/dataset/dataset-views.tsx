import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { ROLE_WORDS } from '../live/slot-words.js';

/** The views of a dataset, by their names in the address. */
export type DatasetViewsByName = Readonly<
  Record<
    string,
    {
      readonly label: string;
      /** Whether a dataset has this view; by default, all have it. */
      readonly isFor?: (dataset: DatasetWithFiles) => boolean;
      readonly show: (dataset: DatasetWithFiles) => ReactNode;
    }
  >
>;

/** The tabs of a dataset's page, and the view that the address names. */
export function DatasetViews({
  views,
  dataset,
  current,
}: {
  views: DatasetViewsByName;
  dataset: DatasetWithFiles;
  current: string;
}) {
  const { id } = dataset;
  const existing = Object.entries(views).filter(([, { isFor }]) => isFor?.(dataset) !== false);
  const shown = existing.find(([name]) => name === current)?.[1];
  return (
    <>
      <nav aria-label="Views of the dataset" className="flex gap-1 border-b border-line">
        {existing.map(([name, { label }]) => (
          <Link
            key={name}
            href={name === 'files' ? `/datasets/${id}` : `/datasets/${id}/${name}`}
            aria-current={name === current ? 'page' : undefined}
            className="touch content-center border-b-2 border-transparent px-3 py-2 text-sm font-medium text-muted hover:text-text aria-[current=page]:border-accent aria-[current=page]:text-text"
          >
            {label}
          </Link>
        ))}
      </nav>
      {shown?.show(dataset) ?? (
        <p>
          {current in views
            ? `A ${ROLE_WORDS[dataset.role].toLowerCase()} has no such view.`
            : 'This view does not exist.'}
        </p>
      )}
    </>
  );
}
