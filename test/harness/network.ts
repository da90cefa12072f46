import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

/** Processes of this machine behind a router that can lose packets; what they see of the network is real. */
export interface Network {
  /** Of this machine, as those behind the router reach it. */
  readonly hostAddress: string;
  /** Of what runs behind the router, as this machine reaches it. */
  readonly address: string;
  /** The beginning of a command that is to run behind the router, as the very process that is started. */
  readonly command: readonly string[];
  /** Loses so many of a hundred packets from and to these TCP ports of this machine, at random; none of the others. */
  readonly lose: (percent: number, ports: readonly number[]) => void;
  readonly loseNothing: () => void;
  /** How many packets have been lost since `lose`. */
  readonly lost: () => number;
  readonly close: () => void;
}

/**
 * Makes two network namespaces, joined by links and routes: this machine, a router, and whoever is behind it. The router
 * drops packets on their way through, as a sender is told of those that it drops itself.
 *
 * @returns why not, where the machine does not allow it
 */
export function openNetwork(): Network | { refusal: string } {
  const name = `yard${process.pid}${randomInt(1000)}`;
  const [router, guest] = [`${name}r`, `${name}g`];
  // Set aside for tests of networks (https://www.rfc-editor.org/rfc/rfc2544, C.2.2).
  const net = `198.18.${randomInt(256)}`;
  const base = randomInt(32) * 8;
  const [hostAddress, gate, inside, address] = [1, 2, 5, 6].map((n) => `${net}.${base + n}`) as [
    string,
    string,
    string,
    string,
  ];
  const inRouter = ['netns', 'exec', router];
  const [outerLink, innerLink] = [`yo${process.pid}`, `yi${process.pid}`];
  const close = () => {
    // The links go with what they lead to.
    for (const namespace of [guest, router]) run('ip', 'netns', 'del', namespace);
    run('ip', 'link', 'del', outerLink);
  };
  const steps: string[][] = [
    ['ip', 'netns', 'add', router],
    ['ip', 'netns', 'add', guest],
    ['ip', 'link', 'add', outerLink, 'type', 'veth', 'peer', 'name', 'out', 'netns', router],
    ['ip', '-n', router, 'link', 'add', innerLink, 'type', 'veth', 'peer', 'name', 'out', 'netns', guest],
    ['ip', 'addr', 'add', `${hostAddress}/30`, 'dev', outerLink],
    ['ip', 'link', 'set', outerLink, 'up'],
    ['ip', '-n', router, 'addr', 'add', `${gate}/30`, 'dev', 'out'],
    ['ip', '-n', router, 'link', 'set', 'out', 'up'],
    ['ip', '-n', router, 'addr', 'add', `${inside}/30`, 'dev', innerLink],
    ['ip', '-n', router, 'link', 'set', innerLink, 'up'],
    ['ip', '-n', guest, 'addr', 'add', `${address}/30`, 'dev', 'out'],
    ['ip', '-n', guest, 'link', 'set', 'out', 'up'],
    ['ip', '-n', guest, 'link', 'set', 'lo', 'up'],
    ['ip', '-n', guest, 'route', 'add', 'default', 'via', inside],
    ['ip', 'route', 'add', `${address}/32`, 'via', gate],
    ['ip', ...inRouter, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'],
    [
      'ip',
      ...inRouter,
      'nft',
      'add table ip faults; add chain ip faults through { type filter hook forward priority 0; }',
    ],
  ];
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

/** @returns why it failed, `undefined` where it did not */
function run(command: string, ...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

function must(refusal: string | undefined): void {
  if (refusal !== undefined) throw new Error(refusal);
}
