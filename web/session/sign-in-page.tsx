import { type FormEvent, useState } from 'react';
import { TrainyardClient, TrainyardError } from '../../src/client/client.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { signIn, useSession } from './session.js';

/** Asks for a token and keeps it once the service has taken it. */
export function SignInPage() {
  const { reason } = useSession();
  const [token, setToken] = useState('');
  const [fault, setFault] = useState(reason);
  const [isAsking, setAsking] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setAsking(true);
    try {
      const given = token.trim();
      await new TrainyardClient({ baseUrl: location.origin, token: given, attempts: 1 }).page({ limit: 1 });
      signIn(given);
    } catch (error) {
      const isRefused = error instanceof TrainyardError && error.status === 401;
      setFault(isRefused ? 'The service does not know this token. Is it whole, and not revoked?' : messageOf(error));
      setAsking(false);
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
          aria-describedby="token-help token-fault"
          className="rounded-lg border border-line bg-page px-3 py-2 font-mono"
        />
        <p id="token-fault" role="alert" className="text-sm text-bad empty:hidden">
          {fault}
        </p>
        <Button type="submit" kind="primary" disabled={isAsking}>
          {isAsking ? 'Asking …' : 'Sign in'}
        </Button>
        <p id="token-help" className="text-sm text-muted">
          The first <code>npm start</code> prints a link that signs in by itself. Another token is made on the machine
          that serves, by <code>npx trainyard token create</code>. It is kept for this tab alone.
        </p>
      </form>
    </main>
  );
}
