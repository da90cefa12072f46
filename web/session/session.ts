import { useSyncExternalStore } from 'react';

/*
 * The token is kept in this tab only: closing the tab deletes it, and a new tab needs it again. In an address, it follows the
 * `#`, a part that browsers never send to a server.
 */

const KEY = 'trainyard-token';

export interface Session {
  readonly token: string | undefined;
  /** Why the user was signed out, for the sign-in page. */
  readonly reason: string | undefined;
}

let session: Session = { token: sessionStorage.getItem(KEY) ?? undefined, reason: undefined };
const listeners = new Set<() => void>();

/** Signs in with `#token=…`, and removes it from the address bar and the history. Called before the first render. */
export function takeTokenFromAddress(): void {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return;
  history.replaceState(history.state, '', location.pathname + location.search);
  signIn(token);
}

export function signIn(token: string): void {
  sessionStorage.setItem(KEY, token);
  change({ token, reason: undefined });
}

export function signOut(reason?: string): void {
  sessionStorage.removeItem(KEY);
  change({ token: undefined, reason });
}

export function useSession(): Session {
  return useSyncExternalStore(subscribe, () => session);
}

function change(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
