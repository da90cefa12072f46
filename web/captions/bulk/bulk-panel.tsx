import { useDeferredValue, useMemo, useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { ONLY_READS, useCanWrite } from '../../session/account.js';
import { useConnect, useIsShared } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { countOf } from '../../ui/format.js';
import { Panel } from '../../ui/panel.js';
import { ChangeForm, emptyChange, isComplete, changeTitle } from './change-form.js';
import { ChangeList } from './change-list.js';
import { JobStatus } from './job-status.js';
import { startJob, useJob } from './jobs.js';
import type { BulkChange } from './plan.js';
import { useChangePlan } from './use-change-plan.js';

interface BulkPanelProps {
  readonly datasetId: string;
  /** The pairs to change. */
  readonly pairs: readonly Pair[];
  /** Describes the pairs, such as `captions with the tag “snow”`. */
  readonly scope: string;
  readonly initialKind: BulkChange['kind'];
}

/** Changes many captions at once, after a preview of each change. */
export function BulkPanel({ datasetId, pairs, scope, initialKind }: BulkPanelProps) {
  const job = useJob(datasetId);
  const canWrite = useCanWrite();
  const isShared = useIsShared();
  const [change, setChange] = useState(() => emptyChange(initialKind));
  if (isShared) return null;
  return (
    <Panel title="Change many captions">
      {job !== undefined && <JobStatus datasetId={datasetId} job={job} />}
      {!canWrite && <p className="text-sm text-muted">{ONLY_READS}</p>}
      {canWrite && (job === undefined || job.state === 'ended') && (
        <>
          <ChangeForm change={change} onChange={setChange} />
          {isComplete(change) && <Preview datasetId={datasetId} pairs={pairs} scope={scope} change={change} />}
        </>
      )}
    </Panel>
  );
}

interface PreviewProps extends Omit<BulkPanelProps, 'initialKind'> {
  readonly change: BulkChange;
}

function Preview({ datasetId, pairs, scope, change }: PreviewProps) {
  const connect = useConnect();
  // Typing stays responsive; the preview follows.
  const plan = useChangePlan(pairs, useDeferredValue(change));
  const shown = useMemo(() => plan?.changes.map((change) => ({ change })) ?? [], [plan]);
  const isCurrent = plan !== undefined && plan.change === change && plan.pairs === pairs;
  return (
    <>
      <p role="status" className="text-sm text-muted">
        {plan === undefined ? 'Planning …' : `${countOf(shown.length, 'change')} to ${scope}.`}
      </p>
      {shown.length > 0 && <ChangeList label="Planned changes" changes={shown} />}
      {plan !== undefined && shown.length > 0 && (
        <div>
          <Button
            kind="primary"
            disabled={!isCurrent}
            onClick={() => startJob(connect, datasetId, changeTitle(plan.change, shown.length), plan.changes)}
          >
            Change {countOf(shown.length, 'caption')}
          </Button>
        </div>
      )}
    </>
  );
}
