import { useState } from 'react';
import { Button } from '../ui/button.js';
import { Dialog, DialogActions } from '../ui/dialog.js';
import { messageOf } from '../ui/format.js';
import { Alert } from '../ui/loaded.js';
import { declineOffered, type OfferedSignIn, type SignedIn, signIn } from './session.js';

/** Asks whether the sign-in of a link replaces the session of this browser. */
export function SwitchSessionDialog({ current, offered }: { current: SignedIn; offered: OfferedSignIn }) {
  const [error, setError] = useState<string>();
  return (
    <Dialog title="Sign in with another token?" onClose={declineOffered}>
      <p>
        This browser is signed in to the account “{current.account}”. The link that you opened signs in with another
        token{offered.account !== undefined && `, of the account “${offered.account}”`}.
      </p>
      <p>
        If you switch, all tabs show the datasets of that token's account, and new uploads and changes go there. Switch
        only if you know where the link comes from.
      </p>
      <Alert>{error}</Alert>
      <DialogActions>
        <Button onClick={() => void signIn(offered.credential).catch((cause) => setError(messageOf(cause)))}>
          Switch
        </Button>
        <Button kind="primary" autoFocus onClick={declineOffered}>
          Stay signed in
        </Button>
      </DialogActions>
    </Dialog>
  );
}
