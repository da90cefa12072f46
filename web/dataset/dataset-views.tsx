import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';

/** The views of a dataset, by their names in the address. */
export type DatasetViewsByName = Readonly<
  Record<string, { readonly label: string; readonly show: (dataset: DatasetWithFiles) => ReactNode }>
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
  return (
    <>
      <nav aria-label="Views of the dataset" className="flex gap-1 border-b border-line">
        {Object.entries(views).map(([name, { label }]) => (
          <Link
            key={name}
            href={name === 'files' ? `/datasets/${id}` : `/datasets/${id}/${name}`}
            aria-current={name === current ? 'page' : undefined}
            className="border-b-2 border-transparent px-3 py-2 text-sm font-medium text-muted hover:text-text aria-[current=page]:border-accent aria-[current=page]:text-text"
          >
            {label}
          </Link>
        ))}
      </nav>
      {views[current]?.show(dataset) ?? <p>This view does not exist.</p>}
    </>
  );
}
