import { Plus } from 'lucide-react';
import { useState } from 'react';
import type { Token } from '../../src/client/client.js';
import { useAccount } from '../session/account.js';
import { Loaded } from '../ui/loaded.js';
import { Button } from '../ui/button.js';
import { numberOf, sizeOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';
import { useTitle } from '../ui/use-title.js';
import { NewTokenDialog } from './new-token-dialog.js';
import { RevokeDialog } from './revoke-dialog.js';
import { TokenList, useTokens, useWhyNotManage } from './token-list.js';
import { WebhooksPanel } from './webhooks-panel.js';

/** What signs in, with what is said if there is none of it. */
const KINDS = [
  {
    kind: 'token',
    title: 'Tokens',
    what: 'A machine that uploads or trains signs in with a token of its own, so that it can be revoked alone.',
    none: 'There are no tokens.',
  },
  {
    kind: 'session',
    title: 'Sessions',
    what: 'Browsers that are signed in. A session ends with the token that started it.',
    none: 'No browser is signed in.',
  },
  {
    kind: 'share',
    title: 'Share links',
    what: 'Each shows the current files of one dataset to a person without an account. Create them on the page of a dataset.',
    none: 'No dataset is shared.',
  },
] as const;

/** Tokens, sessions and share links of the account, and how much of its limits it uses. */
export function AccountPage() {
  useTitle('Account');
  const account = useAccount();
  const tokens = useTokens();
  const whyNot = useWhyNotManage();
  const [isMaking, setMaking] = useState(false);
  const [toRevoke, setToRevoke] = useState<Token>();
  const newToken = (
    <Button icon={Plus} kind="primary" disabled={whyNot !== undefined} title={whyNot} onClick={() => setMaking(true)}>
      New token
    </Button>
  );
  return (
    <>
      <h1 className="text-xl font-semibold wrap-anywhere">
        Account{account === undefined ? '' : ` ${account.account}`}
      </h1>
      {whyNot !== undefined && <p className="text-sm text-muted">{whyNot} It can't create or revoke tokens.</p>}
      <Loaded of={tokens}>
        {(all) =>
          KINDS.map(({ kind, title, what, none }) => (
            <Panel key={kind} title={title} aside={kind === 'token' && newToken}>
              <p className="text-sm text-muted">{what}</p>
              <TokenList tokens={all.filter((token) => token.kind === kind)} none={none} onRevoke={setToRevoke} />
            </Panel>
          ))
        }
      </Loaded>
      <WebhooksPanel />
      {account?.usage !== undefined && <UsagePanel usage={account.usage} limits={account.limits} />}
      {isMaking && <NewTokenDialog onClose={() => setMaking(false)} />}
      {toRevoke !== undefined && (
        <RevokeDialog token={toRevoke} tokens={tokens.data ?? []} onClose={() => setToRevoke(undefined)} />
      )}
    </>
  );
}

interface Totals {
  readonly datasets: number;
  readonly files: number;
  readonly bytes: number;
}

/** What the account uses, beside its limits. */
function UsagePanel({ usage, limits }: { usage: Totals & { readonly history_bytes?: number }; limits: Totals }) {
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
