import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

/** A network namespace behind a router that can drop packets. */
export interface Network {
  /** Address of this machine as seen from behind the router. */
  readonly hostAddress: string;
  /** Address behind the router as seen from this machine. */
  readonly address: string;
  /** Prefix of a command that runs behind the router, without a process in between. */
  readonly command: readonly string[];
  /** Drops this percentage of the packets from and to these TCP ports of this machine, at random. */
  readonly lose: (percent: number, ports: readonly number[]) => void;
  readonly loseNothing: () => void;
  /** Packets dropped since `lose`. */
  readonly lost: () => number;
  readonly close: () => void;
}

/**
 * Makes two network namespaces, joined by links and routes: this machine, a router, and a host behind it. The router drops
 * forwarded packets, because a sender notices packets that its own kernel drops.
 *
 * @returns the reason where this machine does not allow it
 */
export function openNetwork(): Network | { refusal: string } {
  const name = `yard${process.pid}${randomInt(1000)}`;
  const [router, guest] = [`${name}r`, `${name}g`];
  // Reserved for network tests (https://www.rfc-editor.org/rfc/rfc2544, C.2.2).
  const net = `198.18.${randomInt(256)}`;
  const base = randomInt(32) * 8;
  const at = (n: number) => `${net}.${base + n}`;
  const [hostAddress, gate, inside, address] = [at(1), at(2), at(5), at(6)];
  const inRouter = ['netns', 'exec', router];
  const [outerLink, innerLink] = [`yo${process.pid}`, `yi${process.pid}`];
  const close = () => {
    // A link is removed with its namespace.
    for (const namespace of [guest, router]) run('ip', 'netns', 'del', namespace);
    run('ip', 'link', 'del', outerLink);
  };
  const steps = [
    `ip netns add ${router}`,
    `ip netns add ${guest}`,
    `ip link add ${outerLink} type veth peer name out netns ${router}`,
    `ip -n ${router} link add ${innerLink} type veth peer name out netns ${guest}`,
    `ip addr add ${hostAddress}/30 dev ${outerLink}`,
    `ip link set ${outerLink} up`,
    `ip -n ${router} addr add ${gate}/30 dev out`,
    `ip -n ${router} link set out up`,
    `ip -n ${router} addr add ${inside}/30 dev ${innerLink}`,
    `ip -n ${router} link set ${innerLink} up`,
    `ip -n ${guest} addr add ${address}/30 dev out`,
    `ip -n ${guest} link set out up`,
    `ip -n ${guest} link set lo up`,
    `ip -n ${guest} route add default via ${inside}`,
    `ip route add ${address}/32 via ${gate}`,
  ].map((step) => step.split(' '));
  const chain = 'add table ip faults; add chain ip faults through { type filter hook forward priority 0; }';
  steps.push(
    ['ip', ...inRouter, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'],
    // Bytes of a connection that its process has closed are sent again for seconds, not for minutes.
    ['ip', 'netns', 'exec', guest, 'sh', '-c', 'echo 3 > /proc/sys/net/ipv4/tcp_orphan_retries'],
    ['ip', ...inRouter, 'nft', chain],
  );
  for (const step of steps) {
    const refusal = run(...(step as [string, ...string[]]));
    if (refusal === undefined) continue;
    close();
    return { refusal: `no network can be made for tests: ${step.slice(0, 3).join(' ')}: ${refusal}` };
  }
  const loseNothing = () => must(run('ip', ...inRouter, 'nft', 'flush chain ip faults through'));
  return {
    hostAddress,
    address,
    command: ['nsenter', `--net=/run/netns/${guest}`],
    lose: (percent, ports) => {
      const drop = percent === 100 ? 'counter drop' : `numgen random mod 100 < ${percent} counter drop`;
      const rules = ['sport', 'dport'].map(
        (side) => `add rule ip faults through tcp ${side} { ${ports.join(', ')} } ${drop}`,
      );
      must(run('ip', ...inRouter, 'nft', rules.join('; ')));
    },
    loseNothing,
    lost: () => {
      const { stdout } = spawnSync('ip', [...inRouter, 'nft', 'list chain ip faults through'], { encoding: 'utf8' });
      return [...stdout.matchAll(/counter packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
    },
    close,
  };
}

/** @returns the reason of a failure, `undefined` on success */
function run(command: string, ...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

function must(refusal: string | undefined): void {
  if (refusal !== undefined) throw new Error(refusal);
}
