import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useMemo } from 'react';
import { type ChangeGroup, TrainyardClient } from '../../src/client/client.js';
// The client imports it on the first call. Here it is loaded along, so that the first call does not wait for it.
import '../../src/client/contract.js';
import { messageOf } from '../ui/format.js';
import { checkSession, isUnauthorized } from './session.js';

/** Makes a client whose writes belong to one change; without a change, the service groups them by time. */
export type Connect = (change?: ChangeGroup) => TrainyardClient;

interface Connection {
  readonly client: TrainyardClient;
  readonly connect: Connect;
  /** Whether the page belongs to a share link, which never changes anything. */
  readonly isShared: boolean;
}

const ConnectionContext = createContext<Connection | undefined>(undefined);

/** The edits of this tab belong together in the history of a dataset. */
const EDITS: ChangeGroup = { how: 'edit', id: newChangeId() };

interface ClientProviderProps {
  /** A session of this browser; without it, `token` is that of a share. */
  readonly session?: string;
  readonly token?: string;
  /** Called with the message of a 401; by default, the session is checked. */
  readonly onUnauthorized?: (message: string) => void;
  readonly children: ReactNode;
}

const checkSessionBecause = (message: string) => void checkSession(message);

/** Provides clients for this session or token, and a cache of their answers. */
export function ClientProvider(props: ClientProviderProps) {
  const { session, token = '', onUnauthorized = checkSessionBecause, children } = props;
  const { connection, queries } = useMemo(() => {
    const credential = session === undefined ? { token } : { session };
    const connect: Connect = (change) =>
      new TrainyardClient({ baseUrl: location.origin, ...credential, ...(change && { change }) });
    return {
      connection: { client: connect(EDITS), connect, isShared: session === undefined },
      queries: newQueryClient(onUnauthorized),
    };
  }, [session, token, onUnauthorized]);
  return (
    <ConnectionContext value={connection}>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </ConnectionContext>
  );
}

/** @throws Error outside of `ClientProvider` */
export function useClient(): TrainyardClient {
  return useConnection().client;
}

/** @throws Error outside of `ClientProvider` */
export function useConnect(): Connect {
  return useConnection().connect;
}

/** Whether the page belongs to a share link: it has no controls that change a dataset. @throws Error outside of `ClientProvider` */
export function useIsShared(): boolean {
  return useConnection().isShared;
}

function useConnection(): Connection {
  const connection = useContext(ConnectionContext);
  if (connection === undefined) throw new Error('useClient was called outside of ClientProvider.');
  return connection;
}

/** A random id for writes that belong together. */
export function newChangeId(): string {
  // `crypto.randomUUID` exists only over TLS and on localhost, which this service often is not.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

class Queries extends QueryClient {
  /** Also fetches again what is being fetched for the first time: that answer may be older than the change. */
  override async invalidateQueries(...[filters, options]: Parameters<QueryClient['invalidateQueries']>): Promise<void> {
    const fetching = this.getQueryCache().findAll({ ...filters, fetchStatus: 'fetching' });
    const first = fetching.filter(({ state }) => state.data === undefined);
    await Promise.allSettled(first.map(({ promise }) => promise));
    await super.invalidateQueries(filters, options);
  }
}

function newQueryClient(onUnauthorized: (message: string) => void): QueryClient {
  return new Queries({
    queryCache: new QueryCache({
      onError: (error) => {
        if (isUnauthorized(error)) onUnauthorized(messageOf(error));
      },
    }),
    // The client retries by itself, and events announce changes.
    defaultOptions: {
      queries: {
        retry: false,
        refetchOnWindowFocus: false,
        staleTime: Number.POSITIVE_INFINITY,
        // An offline browser may still reach a service on its own machine or network. If it can't, an error message is better
        // than waiting.
        networkMode: 'always',
      },
    },
  });
}

/** Checks the session after a 401, so that the user is told once, and not at every click, that it has ended. */
export function signOutIfUnauthorized(error: unknown): void {
  if (isUnauthorized(error)) void checkSession(messageOf(error));
}
