import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useMemo } from 'react';
import { TrainyardClient, TrainyardError } from '../../src/client/client.js';
import { signOut } from './session.js';

const ClientContext = createContext<TrainyardClient | undefined>(undefined);

/** The published client and a cache of its answers, for whoever signed in with this token. */
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
  if (client === undefined) throw new Error('Nobody has signed in here.');
  return client;
}

function newQueryClient(): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({ onError: signOutIfUnauthorized }),
    // The client tries again by itself, and changes are told of by events.
    defaultOptions: {
      queries: {
        retry: false,
        refetchOnWindowFocus: false,
        staleTime: Number.POSITIVE_INFINITY,
        // A browser that thinks it is offline may still reach a service on its own machine or network, and where it can't, the
        // person should hear so instead of waiting.
        networkMode: 'always',
      },
    },
  });
}

/** A token that was revoked opens nothing; the person should hear of it once, not at every click. */
export function signOutIfUnauthorized(error: unknown): void {
  if (error instanceof TrainyardError && error.status === 401) signOut(error.message);
}
