import { type FormEvent, useState } from 'react';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { isUnauthorized, signIn, useSession } from './session.js';
import { useTitle } from '../ui/use-title.js';

/** Asks for a token, and signs in with it. */
export function SignInPage() {
  useTitle('Sign in');
  const { reason } = useSession();
  const [token, setToken] = useState('');
  const [error, setError] = useState<string>();
  const [isChecking, setChecking] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setChecking(true);
    try {
      await signIn({ token: token.trim() });
    } catch (cause) {
      setError(
        isUnauthorized(cause)
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
          className="touch rounded-lg border border-line bg-page px-3 py-2 font-mono"
        />
        <p id="token-error" role="alert" className="text-sm text-bad empty:hidden">
          {error ?? reason}
        </p>
        <Button type="submit" kind="primary" disabled={isChecking}>
          {isChecking ? 'Checking …' : 'Sign in'}
        </Button>
        <p id="token-help" className="text-sm text-muted">
          The first start of the service prints a link that signs you in. To create another token, run{' '}
          <code>trainyard token create</code> on the service's machine, in a clone as{' '}
          <code>npx trainyard token create</code>, with <code>--data</code> and its data folder, unless that is{' '}
          <code>./data</code>. This browser stays signed in for 30 days, or until you sign out; it does not keep the
          token.
        </p>
      </form>
    </main>
  );
}
