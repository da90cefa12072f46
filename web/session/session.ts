import { TrainyardClient, TrainyardError } from '../../src/client/client.js';
import { messageOf } from '../ui/format.js';
import { Store } from '../ui/store.js';

/*
 * The session is in a cookie of the whole browser that scripts can't read. A token or a code is exchanged for it and forgotten;
 * browsers never send the part of an address after `#` to a server.
 */

/** Remembers that this browser was signed in: then the page asks for its session, and says that it has ended. */
const SIGNED_IN = 'trainyard-signed-in';

/** Tells other tabs that this browser has signed in or out. */
const otherTabs = new BroadcastChannel('trainyard-session');

export interface SignedIn {
  /** The id of the session. */
  readonly id: string;
  readonly account: string;
  readonly tokenId: string;
}

/** What a link signs in with. */
export type Credential = { readonly token: string } | { readonly code: string };

/** A link of another token. It replaces the session only if the user agrees. */
export interface OfferedSignIn {
  readonly credential: Credential;
  /** The account of the token; a code does not tell it. */
  readonly account: string | undefined;
}

interface Session {
  /** `'unknown'` until the service has answered. */
  readonly current: SignedIn | 'unknown' | undefined;
  /** Why the user is signed out, for the sign-in page. */
  readonly reason: string | undefined;
  readonly offered: OfferedSignIn | undefined;
}

const UNKNOWN: Session = { current: 'unknown', reason: undefined, offered: undefined };
const store = new Store<Session>();

/**
 * Finds the session of this browser, and signs in with `#token=…` or `#code=…`. A link could come from an attacker who wants
 * uploads in another account, so a question comes before it replaces a session.
 */
export function startSession(): void {
  void takeFromAddress();
  addEventListener('hashchange', () => void takeFromAddress());
  otherTabs.addEventListener('message', () => void checkSession('You signed out in another tab.'));
}

async function takeFromAddress(): Promise<void> {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const [token, code] = [parameters.get('token'), parameters.get('code')];
  const credential = code !== null ? { code } : token !== null ? { token } : undefined;
  if (credential !== undefined) history.replaceState(history.state, '', location.pathname + location.search);
  // Without a sign-in before, the answer would be a 401, which browsers log as an error.
  const mayHaveSession = localStorage.getItem(SIGNED_IN) !== null;
  if (known().current === 'unknown' && mayHaveSession) await checkSession();
  if (credential === undefined) {
    if (!mayHaveSession) change({ current: undefined });
    return;
  }
  const { current } = known();
  if (current === undefined || current === 'unknown') {
    await signIn(credential).catch((error) => change({ current: undefined, reason: messageOf(error) }));
    return;
  }
  // A link with a code names the id of its token, and not the account. A text that is no token offers nothing.
  const { tokenId, account } =
    'token' in credential
      ? await accountOfToken(credential.token).catch(() => current)
      : { tokenId: token, account: undefined };
  if (tokenId !== current.tokenId) change({ offered: { credential, account } });
}

/** Exchanges a token or a code for a session. @throws as the client does */
export async function signIn(credential: Credential): Promise<void> {
  const client = new TrainyardClient({
    ...HERE,
    ...('token' in credential ? { token: credential.token } : { session: '1' }),
  });
  // Before the request: the page may be loaded again before its answer is handled, and then asks for the session.
  const wasSignedIn = localStorage.getItem(SIGNED_IN) !== null;
  localStorage.setItem(SIGNED_IN, '1');
  const start = client.sessions.start('code' in credential ? { code: credential.code } : {});
  const { id } = await start.catch((error) => {
    if (!wasSignedIn) localStorage.removeItem(SIGNED_IN);
    throw error;
  });
  change({ current: await accountOf(clientOf(id)), reason: undefined, offered: undefined });
  otherTabs.postMessage('signed in');
}

export function declineOffered(): void {
  change({ offered: undefined });
}

/** Ends the session of this browser, in all tabs. @throws as the client does; the browser is then still signed in */
export async function signOut(): Promise<void> {
  const { current } = known();
  if (current === undefined || current === 'unknown') return;
  await clientOf(current.id)
    .sessions.end()
    .catch((error) => {
      if (!isUnauthorized(error)) throw error;
    });
  change({ current: undefined, reason: undefined, offered: undefined });
  otherTabs.postMessage('signed out');
}

/**
 * Asks the service which session this browser has: another tab may have signed in again. If it has none, the sign-in page is
 * shown, with the reason.
 *
 * @returns whether the page has the session that it had before
 */
export async function checkSession(reason?: string): Promise<boolean> {
  const before = known().current;
  const wasSignedIn = localStorage.getItem(SIGNED_IN) !== null || reason !== undefined;
  try {
    const current = await accountOf(clientOf('1'));
    // The same object, so that nothing is rendered again.
    const latest = known().current;
    const isSame = typeof latest === 'object' && latest.id === current.id;
    change({ ...(!isSame && { current }), reason: undefined });
  } catch (error) {
    if (isUnauthorized(error)) {
      change({
        current: undefined,
        reason: wasSignedIn ? (reason ?? messageOf(error)) : undefined,
        offered: undefined,
      });
    } else if (known().current === 'unknown') change({ current: undefined, reason: messageOf(error) });
  }
  return typeof before === 'object' && known().current === before;
}

export function isUnauthorized(error: unknown): boolean {
  return error instanceof TrainyardError && error.status === 401;
}

/** The session, while this browser is signed in. */
export function useSignedIn(): SignedIn | undefined {
  const { current } = useSession();
  return typeof current === 'object' ? current : undefined;
}

export function useSession(): Session {
  return store.useValue() ?? UNKNOWN;
}

const HERE = { baseUrl: location.origin, attempts: 2 };

function clientOf(id: string): TrainyardClient {
  return new TrainyardClient({ ...HERE, session: id });
}

/** @throws as the client does, also TypeError for a text that is no token */
async function accountOfToken(token: string): Promise<SignedIn> {
  return accountOf(new TrainyardClient({ ...HERE, token }));
}

async function accountOf(client: TrainyardClient): Promise<SignedIn> {
  const { account, token, session_id } = await client.account();
  return { id: session_id ?? '', account, tokenId: token.id };
}

function change(next: Partial<Session>): void {
  const session = { ...known(), ...next };
  if (session.current === undefined) localStorage.removeItem(SIGNED_IN);
  else if (session.current !== 'unknown') localStorage.setItem(SIGNED_IN, '1');
  store.set(session);
}

function known(): Session {
  return store.get() ?? UNKNOWN;
}
