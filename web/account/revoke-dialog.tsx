import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Token } from '../../src/client/client.js';
import { useClient } from '../session/client.js';
import { FormDialog } from '../session/dialog-form.js';
import { checkSession } from '../session/session.js';
import { CheckField } from '../ui/fields.js';
import { countOf } from '../ui/format.js';
import { refetchTokens, titleOf } from './token-list.js';

interface RevokeDialogProps {
  readonly token: Token;
  /** All of the account, to say what ends with it. */
  readonly tokens: readonly Token[];
  readonly onClose: () => void;
}

/** Says what a revocation ends, and asks before it. */
export function RevokeDialog({ token, tokens, onClose }: RevokeDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [withMade, setWithMade] = useState(false);
  const made = tokens.filter(({ made_by }) => made_by === token.id);
  const numberOfKind = (kind: Token['kind']) => made.filter((each) => each.kind === kind).length;
  const [sessions, shares, others] = [numberOfKind('session'), numberOfKind('share'), numberOfKind('token')];
  const ends = [sessions > 0 && countOf(sessions, 'session'), shares > 0 && countOf(shares, 'share link')].filter(
    Boolean,
  );
  const isOwn = token.current || made.some(({ current }) => current);
  const isSession = token.kind === 'session';

  const revoke = async () => {
    const { current } = await client.tokens.revoke(token.id, { withMade });
    if (current) {
      await checkSession(
        isSession ? 'You signed this browser out.' : 'You revoked the token that you were signed in with.',
      );
      return;
    }
    refetchTokens(queries);
    onClose();
  };

  return (
    <FormDialog
      title={`${isSession ? 'Sign out' : 'Revoke'} ${titleOf(token)}?`}
      onClose={onClose}
      work={revoke}
      kind="danger"
      label={isSession ? 'Sign out' : 'Revoke'}
      busyLabel={isSession ? 'Signing out …' : 'Revoking …'}
    >
      <p>
        {isSession
          ? 'The browser has to sign in again.'
          : token.kind === 'share'
            ? 'The link no longer opens the dataset.'
            : 'It stops working with the next request, for good.'}
        {ends.length > 0 && ` The ${ends.join(' and the ')} that it started end too.`}
      </p>
      {isOwn && <p className="font-medium">You are signed in with it: this page signs out.</p>}
      {others > 0 && (
        <CheckField isChecked={withMade} onChange={setWithMade}>
          Also revoke the {countOf(others, 'token')} that it made, because it is known to others
        </CheckField>
      )}
    </FormDialog>
  );
}
