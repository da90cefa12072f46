import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.js';
import { SETTINGS } from '../../src/settings.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const manifest = JSON.parse(textOf('package.json'));

/** The instructions of the Dockerfile, each on one line; the last of a name counts. */
const DOCKERFILE = textOf('Dockerfile')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, '');
const instructions = (name: string) =>
  [...DOCKERFILE.matchAll(new RegExp(`^${name} (.*)`, 'gm'))].map(([, text = '']) => text);
const IMAGE_ENVIRONMENT = Object.fromEntries(
  instructions('ENV').flatMap((text) => text.split(' ').map((pair) => /^(\w+)=(.*)/.exec(pair)!.slice(1))),
);

/** The lowest version of Node that the package allows, as `20.19`. */
const LOWEST = /^>=(\d+\.\d+)$/.exec(manifest.engines.node)?.[1] ?? '';

test('the documents, the setup and the tests name the versions of Node that the package allows', () => {
  expect(textOf('README.md')).toContain(`Node ${LOWEST} or later`);
  expect(textOf('docs/installing.md')).toContain(`Node ${LOWEST}, 22 or 24`);
  expect(textOf('scripts/setup.js')).toContain(`needs Node ${LOWEST} or later`);
  expect(textOf('scripts/test-all.js').match(/(?<=')node-\d+(?=')/g)).toEqual(['node-20', 'node-22', 'node-24']);
  expect(manifest.devDependencies['@types/node']).toMatch(new RegExp(`^${LOWEST}\\.`));
});

test('all dependencies run on the lowest version of Node that the package allows', () => {
  const [major, minor] = LOWEST.split('.').map(Number) as [number, number];
  const { packages } = JSON.parse(textOf('package-lock.json'));
  for (const [name, { dev, engines }] of Object.entries<{ dev?: boolean; engines?: { node?: string } }>(packages)) {
    if (dev || engines?.node === undefined) continue;
    const allows = engines.node.split('||').some((range) => {
      const [, sign, from, minimum = '0'] = /^(\^|>=|~)?\s*v?(\d+)(?:\.(\d+))?/.exec(range.trim()) ?? [];
      const isNewer = sign === '>=' && major > Number(from);
      return isNewer || (major === Number(from) && minor >= Number(minimum));
    });
    expect(allows, `${name} needs Node ${engines.node}`).toBe(true);
  }
});

describe('the Dockerfile', () => {
  const last = (name: string) => instructions(name).at(-1);
  const command = (name: string) => JSON.parse(/\[.*\]/.exec(last(name) ?? '')?.[0] ?? '[]') as string[];

  test('uses one base, which the package allows, and installs what the lock file names without running code of packages', () => {
    expect(instructions('ARG')).toEqual(['NODE_IMAGE=node:22-trixie-slim']);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Docker's.
    expect(instructions('FROM')).toEqual(['${NODE_IMAGE} AS build', '${NODE_IMAGE}']);
    const installs = instructions('RUN').filter((text) => /npm (ci|install|prune)/.test(text));
    expect(installs.length).toBeGreaterThan(0);
    for (const text of installs) expect(text).toContain('--ignore-scripts');
  });

  test('starts the service as npm start does, on the port and with the folder that it declares', () => {
    const [, allocator, flag] = /^(\S+) exec node (\S+) dist\/cli\/main\.js serve$/.exec(manifest.scripts.start) ?? [];
    expect(`MALLOC_ARENA_MAX=${IMAGE_ENVIRONMENT.MALLOC_ARENA_MAX}`).toBe(allocator);
    expect(IMAGE_ENVIRONMENT.NODE_OPTIONS).toBe(flag);
    expect(command('ENTRYPOINT')).toEqual(['tini', '--', 'trainyard']);
    expect(command('CMD')).toEqual(['serve']);
    expect(loadConfig({}, IMAGE_ENVIRONMENT)).toMatchObject({
      host: '0.0.0.0',
      port: Number(last('EXPOSE')),
      dataFolder: last('VOLUME'),
    });
    expect([last('USER'), last('STOPSIGNAL')]).toEqual(['node', 'SIGTERM']);
  });

  test('has a health check that fails if the service does not answer', async () => {
    const [program, ...args] = command('HEALTHCHECK');
    expect(program).toBe('node');
    const check = promisify(execFile)(process.execPath, args, { env: { TRAINYARD_PORT: '1' } });
    await expect(check).rejects.toMatchObject({ code: 1, stderr: '' });
  });

  test('copies files that exist and that .dockerignore leaves, also all that the build reads', () => {
    const left = textOf('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    for (const line of left) expect(existsSync(join(ROOT, line.slice(1))), line).toBe(true);
    const needed = 'src web tsconfig.json tsconfig.build.json package.json package-lock.json .npmrc'.split(' ');
    expect(left).toEqual(expect.arrayContaining(needed.map((name) => `!${name}`)));
  });
});

type Service = Partial<Record<'image' | 'build' | 'stop_grace_period', string>> & {
  readonly environment?: Record<string, string>;
  readonly ports?: string[];
  readonly volumes?: string[];
};

describe.each(['compose.yaml', 'packaging/compose.instances.yaml'])('%s', (path) => {
  const { services, volumes } = parse(textOf(path), { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, unknown>;
  };
  const own = Object.entries(services).filter(([, { image }]) => image === 'trainyard');

  /** As Compose replaces `${NAME:-default}` and `${NAME:?message}`. */
  const filled = (text: string): string =>
    text.replace(/\$\{\w+(?::-([^}]*))?[^}]*\}/g, (_, value = 'secret') => value);

  test('sets only variables that the service knows, to values that it accepts', () => {
    expect(own.length).toBe(path === 'compose.yaml' ? 1 : 2);
    for (const [name, { environment = {} }] of own) {
      const variables = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, filled(value)]));
      const known = [...Object.values(SETTINGS).map(({ env }) => env), 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];
      for (const key of Object.keys(variables)) expect(known, name).toContain(key);
      expect(() => loadConfig({}, { ...IMAGE_ENVIRONMENT, ...variables })).not.toThrow();
    }
  });

  test('runs the service with a read-only root, and waits at its stop for requests in flight', () => {
    for (const [, service] of own) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
      const { stopSeconds } = loadConfig({}, {});
      expect(Number.parseInt(service.stop_grace_period ?? '0', 10)).toBeGreaterThan(stopSeconds);
      expect(existsSync(join(ROOT, path, '..', service.build ?? '', 'Dockerfile'))).toBe(true);
    }
  });

  test('publishes one port, on this machine, and names volumes and files that exist', () => {
    expect(Object.values(services).flatMap(({ ports = [] }) => ports)).toEqual(['127.0.0.1:8787:8787']);
    for (const mount of Object.values(services).flatMap(({ volumes: mounts = [] }) => mounts)) {
      const [source = ''] = mount.split(':');
      if (source.startsWith('./')) expect(existsSync(join(ROOT, path, '..', source)), source).toBe(true);
      else if (!source.startsWith('/')) expect(Object.keys(volumes)).toContain(source);
    }
  });
});

describe('the unit of systemd', () => {
  const unit = 'packaging/trainyard.service';

  test('starts the service as npm start does, and waits at its stop for requests in flight', () => {
    const lines = textOf(unit).split('\n');
    const [, allocator, flag] = /^(\S+) exec node (\S+) /.exec(manifest.scripts.start) ?? [];
    expect(lines).toContain(`Environment=NODE_ENV=production ${allocator} NODE_OPTIONS=${flag}`);
    const { dataFolder, stopSeconds } = loadConfig({}, { TRAINYARD_DATA: '/var/lib/trainyard' });
    expect(lines).toContain(`Environment=TRAINYARD_DATA=${dataFolder}`);
    const stop = lines.find((line) => line.startsWith('TimeoutStopSec='))?.split('=')[1];
    expect(Number(stop)).toBeGreaterThan(stopSeconds);
  });

  test.skipIf(spawnSync('systemd-analyze', ['--version']).status !== 0)(
    'has an exposure below 2.0, as documented',
    async () => {
      const analyze = promisify(execFile)('systemd-analyze', ['security', '--offline=true', join(ROOT, unit)]);
      const [, exposure = ''] = /Overall exposure level for \S+: ([\d.]+)/.exec((await analyze).stdout) ?? [];
      expect(Number(exposure)).toBeLessThan(2);
      expect(textOf('docs/installing.md')).toContain(`says ${exposure}, of 10`);
    },
  );
});
