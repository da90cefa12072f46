import { type Resolver, lookup as systemLookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/**
 * The IANA special-purpose registry (https://www.iana.org/assignments/iana-ipv4-special-registry), multicast, and the metadata
 * service of Azure, the only one of a large provider outside of these ranges.
 */
const NOT_PUBLIC_4 = `
  0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24
  192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 168.63.129.16/32`;

/** In IPv6 only global unicast is public (https://www.iana.org/assignments/iana-ipv6-special-registry). */
const PUBLIC_6 = '2000::/3';

/** Teredo and other protocols, 6to4, which embeds IPv4 addresses, and documentation. */
const NOT_PUBLIC_6 = '2001::/23 2001:db8::/32 2002::/16 3fff::/20';

/** Made for the first webhook: other servers start sooner. */
let internet: { readonly notPublic: BlockList; readonly global: BlockList } | undefined;

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** The message is for the account. */
export class AddressNotAllowed extends Error {}

const ASK = 'Ask the operator of this server to list it in --webhook-allow.';

/** Webhooks may go to public addresses over https, and to listed hosts and networks also over http. A listed host may have any address. */
export class AllowedAddresses {
  readonly #hosts = new Set<string>();
  readonly #networks = new BlockList();
  readonly #resolver: Pick<Resolver, 'resolve4' | 'resolve6'>;

  constructor(listed: readonly string[], resolver: Pick<Resolver, 'resolve4' | 'resolve6'>) {
    this.#resolver = resolver;
    for (const entry of listed) {
      if (isIP(entry.split('/')[0] ?? '') === 0) this.#hosts.add(entry.toLowerCase());
      else addNetwork(this.#networks, entry);
    }
  }

  /** Checks what needs no name server. @throws AddressNotAllowed */
  checkUrl(url: URL): void {
    const address = addressOf(url);
    if (address !== undefined) this.#require(url, [address]);
  }

  /** The addresses to which a connection may be made. @throws AddressNotAllowed; errors of the resolver */
  async resolve(url: URL): Promise<Address[]> {
    const [address, host] = [addressOf(url), hostOf(url)];
    if (address !== undefined) return this.#require(url, [address]);
    if (this.#hosts.has(host)) return (await systemLookup(host, { all: true })) as Address[];
    return this.#require(url, await this.#query(host));
  }

  /** Asks name servers, not the system, whose calls block a thread of the pool for files while name servers are slow. */
  async #query(host: string): Promise<Address[]> {
    const [four, six] = await Promise.allSettled([this.#resolver.resolve4(host), this.#resolver.resolve6(host)]);
    const found = [
      ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 as const })) : []),
      ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 as const })) : []),
    ];
    if (found.length === 0 && four.status === 'rejected') throw four.reason;
    return found;
  }

  #require(url: URL, addresses: readonly Address[]): Address[] {
    const reachable = addresses.filter((address) => this.#isListed(address) || this.#isPublic(address));
    if (reachable.length === 0) {
      throw new AddressNotAllowed(`${hostOf(url)} is not a host of the public Internet. ${ASK}`);
    }
    if (url.protocol === 'https:') return reachable;
    const listed = reachable.filter((address) => this.#isListed(address));
    if (listed.length > 0) return listed;
    throw new AddressNotAllowed(`Webhooks are sent to ${hostOf(url)} over https only. Use an https URL.`);
  }

  #isListed({ address, family }: Address): boolean {
    return this.#networks.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }

  #isPublic({ address, family }: Address): boolean {
    internet ??= { notPublic: networksOf(`${NOT_PUBLIC_4} ${NOT_PUBLIC_6}`), global: networksOf(PUBLIC_6) };
    if (family === 6 && !internet.global.check(address, 'ipv6')) return false;
    return !internet.notPublic.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }
}

/** Without the brackets of an IPv6 address and the dot of an absolute name. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

function addressOf(url: URL): Address | undefined {
  const address = hostOf(url);
  const family = isIP(address);
  return family === 0 ? undefined : { address, family: family as 4 | 6 };
}

function networksOf(text: string): BlockList {
  const list = new BlockList();
  for (const network of text.trim().split(/\s+/)) addNetwork(list, network);
  return list;
}

function addNetwork(list: BlockList, network: string): void {
  const [address = '', bits] = network.split('/');
  const type = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  list.addSubnet(address, bits === undefined ? (type === 'ipv4' ? 32 : 128) : Number(bits), type);
}
