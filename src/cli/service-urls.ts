import { networkInterfaces } from 'node:os';

/** Hosts that stand for all addresses of a machine. A client can't connect to them. */
const ANY_HOST: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/**
 * The URLs of a service that listens on a host: first one for this machine, then, if it listens on all addresses, those for
 * other machines. Addresses of one network link alone (`fe80::`) are left out, since their URLs work on no other link.
 */
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

/** Whether a URL leads to the machine on which it is opened. */
export function isLoopback(url: string): boolean {
  return /^(127\.[\d.]+|\[::1\]|localhost)$/.test(new URL(url).hostname);
}
