import { useSyncExternalStore } from 'react';

/*
 * The token is kept for the tab alone: a new tab asks for it again, and closing the tab forgets it. In an address it stands
 * behind the `#`, which a browser sends to nobody, and is taken out of there at once.
 */

const KEY = 'trainyard-token';

export interface Session {
  readonly token: string | undefined;
  /** Why a token that was there is not there any more, in words for the sign-in page. */
  readonly reason: string | undefined;
}

let session: Session = { token: sessionStorage.getItem(KEY) ?? undefined, reason: undefined };
const listeners = new Set<() => void>();

/** Takes `#token=…` out of the address bar and the history. Called before anything is shown. */
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
