import { useSearchParams } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { RevisionPage } from './revision-page.js';
import { Timeline } from './timeline.js';
import { useLiveHistory } from './use-history.js';

/** The history of a dataset: all kept revisions, or the one that the address names. */
export function HistoryView({ dataset }: { dataset: DatasetWithFiles }) {
  const [parameters] = useSearchParams();
  useLiveHistory(dataset);
  const number = numberIn(parameters, 'revision');
  if (number === undefined) return <Timeline dataset={dataset} />;
  return (
    <RevisionPage
      key={number}
      dataset={dataset}
      number={number}
      from={numberIn(parameters, 'from')}
      showsFiles={parameters.get('show') === 'files'}
    />
  );
}

function numberIn(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name) ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
