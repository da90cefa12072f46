import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../../src/client/client.js';
import { Panel } from '../../ui/panel.js';

/** The service lists no more. */
const MAX_LINKED_FROM = 100;

/** The training datasets that use a control or mask dataset. */
export function UsedByPanel({ dataset: { role, linked_from = [] } }: { dataset: DatasetWithFiles }) {
  return (
    <Panel title="Used by">
      {linked_from.length === 0 ? (
        <p className="max-w-prose text-sm">
          No training dataset uses these {role}s yet. Open the training dataset and link this one to it.
        </p>
      ) : (
        <>
          <ul aria-label="Training datasets" className="flex flex-wrap gap-x-4 gap-y-1 text-sm">
            {linked_from.map(({ id, name }) => (
              <li key={id}>
                <Link href={`/datasets/${id}/fitness`} className="text-link wrap-anywhere">
                  {name}
                </Link>
              </li>
            ))}
          </ul>
          {linked_from.length >= MAX_LINKED_FROM && (
            <p className="text-sm text-muted">The first {MAX_LINKED_FROM} by name are listed.</p>
          )}
        </>
      )}
    </Panel>
  );
}
