import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Hosts that stand for all addresses of a machine. */
const ANY_HOST: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** The URLs of a service, first the one for this machine. Link-local addresses (`fe80::`) work on no other link. */
export function serviceUrls(
  { host, port }: { host: string; port: number },
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): [string, ...string[]] {
  const urlOf = (address: string) => `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
  const local = ANY_HOST[host];
  if (local === undefined) return [urlOf(host)];
  const others = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family, address }) => {
      return !internal && (family === 'IPv4' || (host === '::' && !/^fe[89ab]/i.test(address)));
    });
  return [urlOf(local), ...others.map(({ address }) => urlOf(address))];
}

/** The URLs at which other machines may reach the server: none if it listens on this machine alone. */
export function listeningUrls(bound: readonly (AddressInfo | string)[]): string[] {
  const urls = bound.flatMap((socket) =>
    typeof socket === 'string' ? [] : serviceUrls({ host: socket.address, port: socket.port }),
  );
  return [...new Set(urls)].filter((url) => !/^http:\/\/(127\.|\[::1\]|\[fe[89ab])/i.test(url));
}
