// The last step of `npm run build`: bundles the command line that talks to a service, with all that it needs, into an npm package
// without dependencies, dist/package/cli.tgz, which the service serves. The same commit gives the same bytes. Another folder can
// be named for the output.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from 'tar';
import { build } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const folder = process.argv[2] ?? join(dist, 'package');
const unpacked = join(folder, 'unpacked');
const { name, version, license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

rmSync(folder, { recursive: true, force: true });
mkdirSync(unpacked, { recursive: true });
const { output } = await build({
  configFile: false,
  root: dist,
  logLevel: 'warn',
  ssr: { noExternal: true },
  build: {
    ssr: true,
    target: 'node20',
    outDir: join(unpacked, 'dist'),
    minify: false,
    rolldownOptions: {
      input: {
        main: join(dist, 'cli/remote-main.js'),
        client: join(dist, 'client/client.js'),
        // The program that `inspection-process.js` starts, from the file of this name beside it.
        'inspect-in-process': join(dist, 'service/inspection/inspect-without-decoder.js'),
      },
      output: { entryFileNames: '[name].js', chunkFileNames: '[name].js' },
    },
  },
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

/** The licenses of the packages whose code is in the bundle. */
function licensesOf(chunks) {
  const modules = chunks.flatMap((chunk) => chunk.moduleIds ?? []);
  const packages = new Set(
    modules.flatMap(
      (id) => /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(id.replace(/^\0/, ''))?.[0] ?? [],
    ),
  );
  return [...packages]
    .sort()
    .map((path) => {
      const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
      return `${name} ${version} (${license})\n\n${licenseTextIn(path)}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

function licenseTextIn(path) {
  const file = readdirSync(path).find((each) => /^licen[cs]e(\.(md|txt))?$/i.test(each));
  if (file === undefined) throw new Error(`${path} has no file with its license.`);
  return readFileSync(join(path, file), 'utf8').trim();
}
