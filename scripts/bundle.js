// Bundles programs of `src` with the code of the packages that they import.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';

/**
 * Writes a program, or several that share code, to a folder.
 *
 * @param root the folder of the sources and of `node_modules`
 * @param options.input the path of each source, by the path of its output without extension
 * @param options.external packages that are loaded from `node_modules` when the program runs
 * @param options.alias packages, and what is loaded in their place
 * @param options.groups names of chunks, and which modules they have with all that these import
 * @returns the chunks
 */
export async function bundle(
  root,
  { input, outDir, chunks, external = [], alias = {}, groups = [], sourcemap = false },
) {
  const { output } = await build({
    configFile: false,
    root,
    logLevel: 'warn',
    ssr: { noExternal: true, external },
    resolve: { alias },
    build: {
      ssr: true,
      target: 'node20',
      outDir,
      emptyOutDir: false,
      minify: false,
      sourcemap,
      rolldownOptions: {
        input,
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: `${chunks}[name].js`,
          codeSplitting: { groups },
          // Node reads them at each start. The licenses of packages are in a file of their own.
          comments: false,
        },
      },
    },
  });
  return output.filter(({ type }) => type === 'chunk');
}

/** The licenses of the packages whose code is in chunks. */
export function licensesOf(chunks) {
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
  if (file === undefined) return 'The package names its license, but has no copy of it.';
  return readFileSync(join(path, file), 'utf8').trim();
}
