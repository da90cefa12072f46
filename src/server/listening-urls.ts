import { type AddressInfo, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** The URLs at which other machines may reach the server: none if it listens on this machine alone. */
export function listeningUrls(bound: readonly (AddressInfo | string)[]): string[] {
  const own = Object.values(networkInterfaces()).flatMap((addresses = []) =>
    // An address that begins with fe80 needs the name of an interface, which differs between machines.
    addresses.filter(({ internal, address }) => !internal && !address.startsWith('fe80')),
  );
  const urls = bound.flatMap((socket) => {
    if (typeof socket === 'string') return [];
    const { address, port } = socket;
    const isAll = address === '0.0.0.0' || address === '::';
    // A socket of `::` takes IPv4 too.
    const hosts = isAll
      ? own.filter(({ family }) => address === '::' || family === 'IPv4').map((each) => each.address)
      : own.some((each) => each.address === address)
        ? [address]
        : [];
    return hosts.map((host) => `http://${isIPv6(host) ? `[${host}]` : host}:${port}`);
  });
  return [...new Set(urls)];
}
