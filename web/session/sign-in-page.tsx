import { type FormEvent, useState } from 'react';
import { TrainyardClient, TrainyardError } from '../../src/client/client.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { signIn, useSession } from './session.js';

/** Asks for a token, checks it with the service, and signs in. */
export function SignInPage() {
  const { reason } = useSession();
  const [token, setToken] = useState('');
  const [error, setError] = useState(reason);
  const [isChecking, setChecking] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setChecking(true);
    try {
      const trimmed = token.trim();
      await new TrainyardClient({ baseUrl: location.origin, token: trimmed, attempts: 1 }).page({ limit: 1 });
      signIn(trimmed);
    } catch (cause) {
      const isUnknown = cause instanceof TrainyardError && cause.status === 401;
      setError(
        isUnknown
          ? 'The service does not know this token. Check that it is complete and was not revoked.'
          : messageOf(cause),
      );
      setChecking(false);
    }
  };

  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-6 p-6">
      <header className="flex items-center gap-3">
        <img src="/favicon.svg" alt="" className="size-10" />
        <h1 className="text-2xl font-semibold">trainyard</h1>
      </header>
      <form onSubmit={submit} className="flex flex-col gap-4 rounded-xl border border-line bg-panel p-6">
        <label htmlFor="token" className="font-medium">
          Token
        </label>
        <input
          id="token"
          type="password"
          autoComplete="off"
          spellCheck={false}
          required
          value={token}
          onChange={(event) => setToken(event.target.value)}
          placeholder="ty_…"
          aria-describedby="token-help token-error"
          className="rounded-lg border border-line bg-page px-3 py-2 font-mono"
        />
        <p id="token-error" role="alert" className="text-sm text-bad empty:hidden">
          {error}
        </p>
        <Button type="submit" kind="primary" disabled={isChecking}>
          {isChecking ? 'Checking …' : 'Sign in'}
        </Button>
        <p id="token-help" className="text-sm text-muted">
          The first <code>npm start</code> prints a link that signs you in. To create another token, run{' '}
          <code>npx trainyard token create</code> on the server. The token is kept in this tab only.
        </p>
      </form>
    </main>
  );
}
