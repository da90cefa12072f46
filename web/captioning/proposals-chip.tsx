import { Link } from 'wouter';
import { withKey } from '../keys.js';
import { numberOf } from '../ui/format.js';

/** A link to the review of proposals, in the bar of the workbench. */
export function ProposalsChip({ datasetId, count }: { datasetId: string; count: number }) {
  return (
    <Link
      href={`/datasets/${datasetId}/proposals`}
      title={withKey('Review what a model proposes', 'proposals')}
      className="inline-flex min-h-9 touch shrink-0 items-center gap-1.5 rounded-full border border-line px-3 text-sm hover:bg-raised"
    >
      Proposals <span className="tabular-nums">{numberOf(count)}</span>
    </Link>
  );
}
