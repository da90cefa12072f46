// A step of `npm run build`: bundles the command with the server, the client, and the programs that run as processes and threads of
// their own. Node reads a few files then instead of two thousand, which takes half of the time of a start.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle, licensesOf } from './bundle.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');
const dist = join(root, 'dist');

/** Packages with native code or programs of their own, and those that most servers never load. */
const EXTERNAL = [
  'sharp',
  '@photostructure/sqlite',
  'pg',
  '@aws-sdk/client-s3',
  '@aws-sdk/s3-request-presigner',
  '@fastify/ajv-compiler',
  '@fastify/fast-json-stringify-compiler',
  'light-my-request',
];

rmSync(join(dist, 'chunks'), { recursive: true, force: true });
const chunks = await bundleProgram('cli/main', {
  groups: [
    // All commands together: the list of them needs all, and one file is read sooner than eighty.
    // What reads a data folder is loaded when it is needed.
    { name: 'commands', test: /[\\/]src[\\/]cli[\\/](?!main\.ts|mount[\\/]local-source\.ts)/, priority: 2 },
    // The server has the contract, too, and a command must not load the server for it.
    { name: 'contract', test: /[\\/]src[\\/]client[\\/]contract\.ts$/, priority: 1.5 },
    // The log is needed first, and must not wait for the server.
    { name: 'log', test: /[\\/]node_modules[\\/]pino[\\/]/, priority: 1.4 },
    // SQLite opens in its thread while the server is loaded.
    { name: 'storage', test: /[\\/]src[\\/]open-storage\.ts$/, priority: 1.2 },
    { name: 'server', test: /[\\/]src[\\/]app\.ts$/, priority: 1 },
  ],
});
for (const name of ['client/client', ...startedPrograms()]) chunks.push(...(await bundleProgram(name)));
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES'), licensesOf(chunks));

function bundleProgram(name, { groups } = {}) {
  return bundle(root, {
    input: { [name]: join(src, `${name}.ts`) },
    outDir: dist,
    chunks: `chunks/${name.split('/').at(-1)}/`,
    external: EXTERNAL,
    // `@fastify/static` calls it for servers that list their files at the start. Ours does not, and it takes 15 ms to load.
    alias: { glob: 'node:fs' },
    groups,
    sourcemap: true,
  });
}

/** The names that are given to `programFile` (`src/version.ts`). */
function startedPrograms() {
  const sources = readdirSync(src, { recursive: true }).filter((path) => path.endsWith('.ts'));
  const calls = sources.flatMap((path) => [
    ...readFileSync(join(src, path), 'utf8').matchAll(/\bprogramFile\('([^']+)'\)/g),
  ]);
  return new Set(calls.map(([, name]) => name));
}
