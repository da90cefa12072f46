import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));
const PAGE = fileURLToPath(new URL('../web', import.meta.url));

/** The rooms from the ground up; a file imports from its own room and from those below. */
const FLOORS = ['dataset', 'api', 'client', 'storage', 'service', 'server', 'config', 'app', 'cli'] as const;

/** Who may know these packages: `inspect` alone decodes, and so on. */
const KEEPERS: Record<string, RegExp> = {
  sharp: /^dataset\/inspect\//,
  mediabunny: /^dataset\/inspect\//,
  'file-type': /^dataset\/inspect\//,
  kysely: /^storage\//,
  pg: /^storage\//,
  '@photostructure/sqlite': /^storage\//,
  fastify: /^server\//,
  commander: /^cli\//,
  piscina: /^service\//,
};

const MAX_LINES = 300;

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** Paths of imported files of ours, and names of imported packages. */
  readonly imports: readonly string[];
  /** Those of them that are still there when the program runs. */
  readonly valueImports: readonly string[];
}

const files = sourceFilesOf(SOURCE);
const pageFiles = sourceFilesOf(PAGE);

function sourceFilesOf(folder: string): readonly SourceFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => {
      const path = relative(folder, join(entry.parentPath, entry.name));
      const text = readFileSync(join(folder, path), 'utf8');
      const targetOf = (name: string) =>
        name.startsWith('.') ? normalize(join(dirname(path), name)).replace(/\.js$/, '.ts') : name;
      const statements = [...text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;']*?from\s+)?'([^']+)'/gm)];
      const imports = statements.map(([, , name = '']) => targetOf(name));
      const valueImports = statements.filter(([, type]) => type === undefined).map(([, , name = '']) => targetOf(name));
      return { path, text, imports, valueImports };
    });
}

function floorOf(path: string): number {
  return FLOORS.findIndex((floor) => path === `${floor}.ts` || path.startsWith(`${floor}/`));
}

describe('the house', () => {
  test('has files to look at', () => {
    expect(files.length).toBeGreaterThan(20);
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(50);
  });

  test('imports point downward only', () => {
    const upward = files.flatMap(({ path, imports }) =>
      imports
        .filter((target) => target.endsWith('.ts') && floorOf(target) > floorOf(path) && floorOf(path) >= 0)
        .map((target) => `${path} imports ${target}`),
    );
    expect(upward).toEqual([]);
  });

  test('imports go around in no circle', () => {
    const targets = new Map(files.map(({ path, valueImports }) => [path, valueImports]));
    const circles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        circles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
        return;
      }
      for (const target of targets.get(path) ?? []) if (targets.has(target)) visit(target, [...trail, path]);
    };
    for (const { path } of files) visit(path, []);
    expect(circles).toEqual([]);
  });

  test('each package that decides something has one keeper', () => {
    const strangers = files.flatMap(({ path, imports }) =>
      imports.filter((name) => KEEPERS[name] && !KEEPERS[name].test(path)).map((name) => `${path} imports ${name}`),
    );
    expect(strangers).toEqual([]);
  });

  test('what is true of a dataset has no clock, no network and no randomness', () => {
    const impure = files
      .filter(({ path }) => path.startsWith('dataset/'))
      .filter(({ text }) =>
        /Date\.now|Math\.random|randomUUID|randomBytes|node:(net|http|https)|process\.env/.test(text),
      )
      .map(({ path }) => path);
    expect(impure).toEqual([]);
  });

  test('only the commands see the environment', () => {
    const readers = files.filter(({ text }) => /process\.env/.test(text)).map(({ path }) => path);
    expect(readers.filter((path) => !path.startsWith('cli/'))).toEqual([]);
    expect(readers).toContain('cli/settings.ts');
  });

  test('no file holds two ideas', () => {
    const long = [...files, ...pageFiles]
      .filter(({ text }) => text.split('\n').length > MAX_LINES)
      .map(({ path, text }) => `${path}: ${text.split('\n').length} lines`);
    expect(long).toEqual([]);
  });

  test('the page knows the service by the published client, its limits, and what is true of a dataset', () => {
    expect(pageFiles.length).toBeGreaterThan(20);
    const strangers = pageFiles
      .filter(({ path }) => path !== 'vite.config.ts')
      .flatMap(({ path, imports }) =>
        imports
          .filter((name) => name.startsWith('node:') || /^(\.\.\/)+src\//.test(name))
          .filter(
            (name) =>
              !/^\.\.\/src\/(client\/client\.ts|api\/limits\.ts|for-each-concurrent\.ts|dataset\/[a-z-]+\.ts)$/.test(
                name,
              ),
          )
          .map((name) => `${path} imports ${name}`),
      );
    expect(strangers).toEqual([]);
  });
});
