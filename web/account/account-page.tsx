import { useAccount } from '../session/account.js';
import { numberOf, sizeOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';
import { useTitle } from '../ui/use-title.js';
import { TokenPanels } from './tokens.js';
import { WebhooksPanel } from './webhooks-panel.js';

/** Tokens, sessions and share links of the account, and how much of its limits it uses. */
export function AccountPage() {
  useTitle('Account');
  const account = useAccount();
  return (
    <>
      <h1 className="text-xl font-semibold wrap-anywhere">
        Account{account === undefined ? '' : ` ${account.account}`}
      </h1>
      <TokenPanels />
      <WebhooksPanel />
      {account?.usage !== undefined && <UsagePanel usage={account.usage} limits={account.limits} />}
    </>
  );
}

type Account = NonNullable<ReturnType<typeof useAccount>>;

/** What the account uses, beside its limits. */
function UsagePanel({ usage, limits }: { usage: NonNullable<Account['usage']>; limits: Account['limits'] }) {
  const rows = [
    { label: 'Files', total: 'bytes', format: sizeOf },
    { label: 'Number of files', total: 'files', format: numberOf },
    { label: 'Datasets', total: 'datasets', format: numberOf },
  ] as const;
  return (
    <Panel title="Storage">
      <dl className="grid gap-4 sm:grid-cols-3">
        {rows.map(({ label, total, format }) => (
          <div key={label}>
            <dt className="text-sm text-muted">{label}</dt>
            <dd className="flex flex-col gap-1 tabular-nums">
              {format(usage[total])} of {format(limits[total])}
              <progress
                aria-label={`${label} used`}
                value={usage[total]}
                max={limits[total]}
                className="h-2 w-full accent-accent"
              />
            </dd>
          </div>
        ))}
      </dl>
      {(usage.history_bytes ?? 0) > 0 && (
        <p className="text-sm text-muted">
          Besides, the history keeps {sizeOf(usage.history_bytes ?? 0)} of replaced and deleted files.
        </p>
      )}
    </Panel>
  );
}
