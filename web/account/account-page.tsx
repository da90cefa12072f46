import { Plus } from 'lucide-react';
import { useState } from 'react';
import type { Token } from '../../src/client/client.js';
import { useAccount } from '../session/account.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';
import { NewTokenDialog } from './new-token-dialog.js';
import { RevokeDialog } from './revoke-dialog.js';
import { TokenList } from './token-list.js';
import { UsagePanel } from './usage-panel.js';
import { useTokens, useWhyNotManage } from './use-tokens.js';
import { WebhooksPanel } from './webhooks/webhooks-panel.js';

/** Tokens, sessions and share links of the account, and how much of its limits it uses. */
export function AccountPage() {
  const account = useAccount();
  const { data: tokens = [], error, isPending, refetch } = useTokens();
  const whyNot = useWhyNotManage();
  const [isMaking, setMaking] = useState(false);
  const [toRevoke, setToRevoke] = useState<Token>();
  const ofKind = (kind: Token['kind']) => tokens.filter((token) => token.kind === kind);
  const list = (kind: Token['kind'], none: string) =>
    isPending ? (
      <p aria-live="polite">Loading …</p>
    ) : (
      <TokenList tokens={ofKind(kind)} none={none} onRevoke={setToRevoke} />
    );
  return (
    <>
      <h1 className="text-xl font-semibold wrap-anywhere">
        Account{account === undefined ? '' : ` ${account.account}`}
      </h1>
      {error !== null && (
        <p role="alert" className="flex items-center gap-3">
          {messageOf(error)} <Button onClick={() => void refetch()}>Try again</Button>
        </p>
      )}
      {whyNot !== undefined && <p className="text-sm text-muted">{whyNot} It can't create or revoke tokens.</p>}
      <Panel
        title="Tokens"
        aside={
          <Button kind="primary" disabled={whyNot !== undefined} title={whyNot} onClick={() => setMaking(true)}>
            <Plus size={16} aria-hidden /> New token
          </Button>
        }
      >
        <p className="text-sm text-muted">
          A machine that uploads or trains signs in with a token of its own, so that it can be revoked alone.
        </p>
        {list('token', 'There are no tokens.')}
      </Panel>
      <Panel title="Sessions">
        <p className="text-sm text-muted">
          Browsers that are signed in. A session ends with the token that started it.
        </p>
        {list('session', 'No browser is signed in.')}
      </Panel>
      <Panel title="Share links">
        <p className="text-sm text-muted">
          Each shows the current files of one dataset to a person without an account. Create them on the page of a
          dataset.
        </p>
        {list('share', 'No dataset is shared.')}
      </Panel>
      <WebhooksPanel />
      {account?.usage !== undefined && <UsagePanel usage={account.usage} limits={account.limits} />}
      {isMaking && <NewTokenDialog onClose={() => setMaking(false)} />}
      {toRevoke !== undefined && (
        <RevokeDialog token={toRevoke} tokens={tokens} onClose={() => setToRevoke(undefined)} />
      )}
    </>
  );
}
