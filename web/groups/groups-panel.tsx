import { useQueryClient } from '@tanstack/react-query';
import { Trash2 } from 'lucide-react';
import type { Group } from '../../src/client/client.js';
import { MAX_REPEATS } from '../../src/dataset/groups.js';
import { refetchDatasetSoon } from '../live/dataset.js';
import { useCanWrite } from '../session/account.js';
import { useClient } from '../session/client.js';
import { useRequesting } from '../session/dialog-form.js';
import { WriteButton } from '../session/write-button.js';
import { countOf } from '../ui/format.js';
import { Alert } from '../ui/loaded.js';
import { Panel } from '../ui/panel.js';

/** The groups of a dataset: how often a trainer reads each, and which are regularisation images. */
export function GroupsPanel({ datasetId, groups }: { datasetId: string; groups: readonly Group[] }) {
  const client = useClient();
  const queries = useQueryClient();
  const canWrite = useCanWrite();
  const { failure, run } = useRequesting();
  /** @param restore shows what is saved, after a failure */
  const change = async (work: () => Promise<unknown>, restore = () => {}) => {
    await run(async () => {
      await work().catch((error) => {
        restore();
        throw error;
      });
    });
    refetchDatasetSoon(queries, datasetId);
  };
  return (
    <Panel title="Groups">
      <ul className="flex flex-col gap-2 text-sm">
        {groups.map(({ name, repeats, is_reg, files }) => (
          <li key={name} aria-label={name} className="flex flex-wrap items-center gap-x-4 gap-y-1">
            <span className="mr-auto wrap-anywhere">
              <span className="font-medium">{name}</span> <span className="text-muted">· {countOf(files, 'file')}</span>
            </span>
            <label className="flex items-center gap-2 text-muted">
              Repeats
              <input
                // A change elsewhere shows, but no typed number is replaced before it is saved.
                key={repeats}
                type="number"
                min={1}
                max={MAX_REPEATS}
                required
                defaultValue={repeats}
                disabled={!canWrite}
                onBlur={({ target }) => {
                  const next = target.valueAsNumber;
                  if (!target.reportValidity() || next === repeats) return;
                  const restore = () => (target.valueAsNumber = repeats);
                  void change(() => client.groups.save(datasetId, name, { repeats: next }), restore);
                }}
                onKeyDown={({ key, currentTarget }) => key === 'Enter' && currentTarget.blur()}
                className="min-h-9 touch w-24 rounded-lg border border-line bg-page px-3 text-text tabular-nums"
              />
            </label>
            <label className="flex min-h-9 items-center gap-2 text-muted">
              <input
                key={String(is_reg)}
                type="checkbox"
                defaultChecked={is_reg}
                disabled={!canWrite}
                onChange={({ target }) => {
                  const restore = () => (target.checked = is_reg);
                  void change(() => client.groups.save(datasetId, name, { is_reg: target.checked }), restore);
                }}
                className="accent-accent"
              />
              Regularisation
            </label>
            <WriteButton
              icon={Trash2}
              kind="quiet"
              aria-label={`Delete the group ${name}`}
              title="Delete the group; its files stay"
              onClick={() => void change(() => client.groups.remove(datasetId, name))}
            />
          </li>
        ))}
      </ul>
      <Alert>{failure}</Alert>
    </Panel>
  );
}
