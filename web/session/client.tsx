import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useMemo } from 'react';
import { TrainyardClient, TrainyardError } from '../../src/client/client.js';
import { signOut } from './session.js';

const ClientContext = createContext<TrainyardClient | undefined>(undefined);

/** Provides a client for this token, and a cache of its answers. */
export function ClientProvider({ token, children }: { token: string; children: ReactNode }) {
  const { client, queries } = useMemo(
    () => ({ client: new TrainyardClient({ baseUrl: location.origin, token }), queries: newQueryClient() }),
    [token],
  );
  return (
    <ClientContext value={client}>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </ClientContext>
  );
}

/** @throws Error outside of `ClientProvider` */
export function useClient(): TrainyardClient {
  const client = useContext(ClientContext);
  if (client === undefined) throw new Error('useClient was called outside of ClientProvider.');
  return client;
}

function newQueryClient(): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({ onError: signOutIfUnauthorized }),
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

/** Signs out after a 401, so that the user is told once, and not at every click, that the token was revoked. */
export function signOutIfUnauthorized(error: unknown): void {
  if (error instanceof TrainyardError && error.status === 401) signOut(error.message);
}
