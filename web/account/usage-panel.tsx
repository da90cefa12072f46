import { numberOf, sizeOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';

interface Totals {
  readonly datasets: number;
  readonly files: number;
  readonly bytes: number;
}

interface UsagePanelProps {
  readonly usage: Totals & { readonly history_bytes?: number };
  readonly limits: Totals;
}

/** What the account uses, beside its limits. */
export function UsagePanel({ usage, limits }: UsagePanelProps) {
  return (
    <Panel title="Storage">
      <dl className="grid gap-4 sm:grid-cols-3">
        <Used label="Files" used={usage.bytes} limit={limits.bytes} format={sizeOf} />
        <Used label="Number of files" used={usage.files} limit={limits.files} format={numberOf} />
        <Used label="Datasets" used={usage.datasets} limit={limits.datasets} format={numberOf} />
      </dl>
      {(usage.history_bytes ?? 0) > 0 && (
        <p className="text-sm text-muted">
          Besides, the history keeps {sizeOf(usage.history_bytes ?? 0)} of replaced and deleted files.
        </p>
      )}
    </Panel>
  );
}

interface UsedProps {
  readonly label: string;
  readonly used: number;
  readonly limit: number;
  readonly format: (value: number) => string;
}

function Used({ label, used, limit, format }: UsedProps) {
  return (
    <div>
      <dt className="text-sm text-muted">{label}</dt>
      <dd className="flex flex-col gap-1 tabular-nums">
        {format(used)} of {format(limit)}
        <progress aria-label={`${label} used`} value={used} max={limit} className="h-2 w-full accent-accent" />
      </dd>
    </div>
  );
}
