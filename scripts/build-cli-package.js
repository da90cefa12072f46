// The last step of `npm run build`: bundles the command line that talks to a service, with all that it needs, into an npm package
// without dependencies, dist/package/cli.tgz, which the service serves. The same commit gives the same bytes. Another folder can
// be named for the output.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from 'tar';
import { bundle, licensesOf } from './bundle.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const folder = process.argv[2] ?? join(dist, 'package');
const unpacked = join(folder, 'unpacked');
const { name, version, license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

rmSync(folder, { recursive: true, force: true });
mkdirSync(unpacked, { recursive: true });
const output = await bundle(root, {
  input: {
    main: join(root, 'src/cli/remote-main.ts'),
    client: join(root, 'src/client/client.ts'),
    // In place of the program of an installation.
    'service/inspection/inspect-in-process': join(root, 'src/service/inspection/inspect-without-decoder.ts'),
  },
  outDir: join(unpacked, 'dist'),
  chunks: '',
});

const imports = new Set(output.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]));
const files = new Set(output.map(({ fileName }) => fileName));
const missing = [...imports].filter((each) => !files.has(each) && !isBuiltin(each));
if (missing.length > 0) throw new Error(`The package of the command line would need ${missing.join(', ')}.`);

const manifest = {
  name,
  version,
  description: 'The command line and the client of a trainyard service of this version.',
  license,
  type: 'module',
  engines,
  bin: { [name]: 'dist/main.js' },
  exports: { '.': './dist/client.js', './package.json': './package.json' },
};
writeFileSync(join(unpacked, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
cpSync(join(root, 'LICENSE'), join(unpacked, 'LICENSE'));
writeFileSync(join(unpacked, 'THIRD-PARTY-LICENSES'), licensesOf(output));

const packed = join(folder, 'cli.tgz');
await create(
  { cwd: unpacked, file: packed, prefix: 'package', portable: true, mtime: new Date(0), gzip: { level: 9 } },
  ['package.json', 'LICENSE', 'THIRD-PARTY-LICENSES', ...[...files].sort().map((each) => `dist/${each}`)],
);
cpSync(packed, join(folder, `cli-${version}.tgz`));
rmSync(unpacked, { recursive: true });
