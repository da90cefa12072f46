import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The folders of `src` from the ground up; a file imports from its own folder and from those below. */
const FLOORS = ['dataset', 'api', 'client', 'storage', 'service', 'server', 'config', 'app', 'cli'] as const;

/** Who may import these packages: only `dataset/inspect` decodes, and so on. */
const KEEPERS: Record<string, RegExp> = {
  sharp: /^dataset\/(inspect|fix)\//,
  mediabunny: /^dataset\/inspect\/video\//,
  'file-type': /^dataset\/inspect\//,
  kysely: /^storage\//,
  pg: /^storage\//,
  '@photostructure/sqlite': /^storage\//,
  fastify: /^server\//,
  commander: /^cli\//,
};

/**
 * Lines of `src` by folder, comments included; `.` are the files above the folders. A file holds one idea, however long. A change that
 * needs more lines removes a mechanism first. The goal is 36,500 in all.
 */
const BUDGETS: Record<string, number> = {
  cli: 8189,
  server: 3586,
  client: 1694,
  api: 1967,
  service: 8990,
  storage: 8115,
  dataset: 8325,
  '.': 1029,
};

/** Lines of a function, without those of the functions in it. */
const MAX_FUNCTION_LINES = 60;

/** Loops that are as fast as they are since they call nothing. */
const HOT_LOOPS = ['dataset/inspect/image/jpeg/bands.ts'];

/** Words without a subject that a reader could point at (`nobody waits`), where the server, the client or the caller is meant. */
const VAGUE_WORDS = /\b(nobody|somebody|anybody|everybody|whoever|whatever)\b/i;

const KNOWN_TO_THE_PAGE =
  /^\.\.\/src\/(client\/(client|contract)|api\/limits|for-each-concurrent|command-line|dataset\/((captioning|fix|history|import|pairs|train)\/)?[a-z-]+|dataset\/inspect\/image-content)\.ts$/;

interface SourceFile {
  /** From the folder `src` or `web`. */
  readonly path: string;
  readonly text: string;
  /** Paths of imported files of ours, and names of imported packages; types and dynamic imports included. */
  readonly imports: readonly string[];
}

const files = sourceFilesOf('src');
const pageFiles = sourceFilesOf('web');

function sourceFilesOf(folder: string): readonly SourceFile[] {
  return filesBelow(folder)
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => {
      const text = readFileSync(join(ROOT, folder, path), 'utf8');
      return { path, text, imports: importsIn(text).map((name) => targetOf(folder, path, name)) };
    });
}

/** The functions of a file that have too many lines of their own, as `path:line`. */
function longFunctionsIn(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest);
  const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  const long: string[] = [];
  /** @returns the lines of the functions in a node, or of the node if it is a function */
  const visit = (node: ts.Node): number => {
    let inner = 0;
    ts.forEachChild(node, (child) => {
      inner += visit(child);
    });
    if (!ts.isFunctionLike(node) || !('body' in node && node.body)) return inner;
    const first = lineAt(node.getStart(source));
    const lines = lineAt(node.end) - first + 1;
    if (lines - inner > MAX_FUNCTION_LINES) long.push(`${path}:${first + 1}`);
    return lines;
  };
  visit(source);
  return long;
}

function importsIn(text: string): string[] {
  const statements = text.matchAll(/^(?:import|export)\s(?:[^;']*?from\s+)?'([^']+)'/gm);
  const dynamic = text.matchAll(/\bimport\(\s*'([^']+)'/g);
  return [...statements, ...dynamic].map(([, name = '']) => name);
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(join(ROOT, folder), join(entry.parentPath, entry.name)));
}

/** The path of an imported file of ours; the name of a package as it is. */
function targetOf(folder: string, importer: string, name: string): string {
  if (!name.startsWith('.')) return name;
  const target = normalize(join(dirname(importer), name));
  const candidates = ['.ts', '.tsx'].map((extension) => target.replace(/\.js$/, extension));
  const found = candidates.find((path) => existsSync(join(ROOT, folder, path)));
  return found ?? target;
}

/** The imports of which this is true, as `file imports name`. */
function importsWhere(tree: readonly SourceFile[], isTrue: (path: string, name: string) => boolean): string[] {
  return tree.flatMap(({ path, imports }) =>
    imports.filter((name) => isTrue(path, name)).map((name) => `${path} imports ${name}`),
  );
}

function floorOf(path: string): number {
  return FLOORS.findIndex((floor) => path === `${floor}.ts` || path.startsWith(`${floor}/`));
}

/**
 * Circles between the units of a folder, at every level of a tree. A unit is a file or a sub-folder with everything below it,
 * so this also finds two folders that import each other without any two files doing so.
 */
function circlesIn(tree: readonly SourceFile[]): string[] {
  const edges = new Map<string, Map<string, Set<string>>>();
  for (const { path, imports } of tree) {
    for (const target of imports) {
      const [from, to] = [path.split('/'), target.split('/')];
      const shared = from.findIndex((part, level) => part !== to[level]);
      if (shared < 0 || !tree.some((file) => file.path === target)) continue;
      const folder = from.slice(0, shared).join('/');
      const units = edges.get(folder) ?? new Map<string, Set<string>>();
      const unit = from[shared] ?? '';
      edges.set(folder, units.set(unit, (units.get(unit) ?? new Set<string>()).add(to[shared] ?? '')));
    }
  }
  const circles = new Set<string>();
  for (const [folder, units] of edges) {
    const visit = (unit: string, trail: readonly string[]): void => {
      if (!trail.includes(unit)) for (const target of units.get(unit) ?? []) visit(target, [...trail, unit]);
      else circles.add(`${folder}: ${[...trail.slice(trail.indexOf(unit)), unit].join(' → ')}`);
    };
    for (const unit of units.keys()) visit(unit, []);
  }
  return [...circles];
}

test('the house has files to look at', () => {
  expect(files.length).toBeGreaterThan(20);
  expect(pageFiles.length).toBeGreaterThan(20);
  expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(50);
});

test('imports point downward only', () => {
  const isUpward = (path: string, target: string) => target.endsWith('.ts') && floorOf(target) > floorOf(path);
  expect(importsWhere(files, (path, target) => floorOf(path) >= 0 && isUpward(path, target))).toEqual([]);
});

test('storage and service know nothing of the client, nor the client of them', () => {
  const strangers = importsWhere(files, (path, target) =>
    path.startsWith('client/')
      ? !/^(client|api|dataset)\/|^[a-z-]+\.ts$|^zod$/.test(target)
      : /^(storage|service)\//.test(path) && target.startsWith('client/'),
  );
  expect(strangers).toEqual([]);
});

test.each([
  ['src', files],
  ['web', pageFiles],
])('no files and no folders of %s import one another in a circle', (_, tree) => {
  expect(circlesIn(tree)).toEqual([]);
});

test('each package that decides something has one keeper', () => {
  expect(importsWhere(files, (path, name) => KEEPERS[name] !== undefined && !KEEPERS[name].test(path))).toEqual([]);
});

test('what is true of a dataset has no clock, no network and no randomness', () => {
  const impure = files
    .filter(({ path }) => path.startsWith('dataset/'))
    .filter(({ text }) => /Date\.now|Math\.random|randomUUID|randomBytes|node:(net|http|https)|process\.env/.test(text))
    .map(({ path }) => path);
  expect(impure).toEqual([]);
});

test('only the commands see the environment', () => {
  const readers = files.filter(({ text }) => /process\.env/.test(text)).map(({ path }) => path);
  expect(readers).toContain('cli/settings.ts');
  expect(readers.filter((path) => !path.startsWith('cli/'))).toEqual([]);
});

test('each folder of src stays within its budget of lines', () => {
  const lines: Record<string, number> = {};
  for (const { path, text } of files) {
    const folder = path.includes('/') ? path.slice(0, path.indexOf('/')) : '.';
    lines[folder] = (lines[folder] ?? 0) + text.split('\n').length - 1;
  }
  expect(Object.keys(lines).sort()).toEqual(Object.keys(BUDGETS).sort());
  const over = Object.entries(lines).filter(([folder, count]) => count > BUDGETS[folder]!);
  expect(over.map(([folder, count]) => `src/${folder}: ${count} lines, at most ${BUDGETS[folder]}`)).toEqual([]);
});

test('functions have at most 60 lines of their own', () => {
  const long = files.flatMap(({ path, text }) => (HOT_LOOPS.includes(path) ? [] : longFunctionsIn(path, text)));
  expect(long).toEqual([]);
});

test.each([
  ['timeouts are not lost to the garbage collector', 'AbortSignal.timeout('],
  ['signals that live as long as the process keep nothing of work that has ended', 'AbortSignal.any('],
])('%s', (_, call) => {
  expect(files.filter(({ text }) => text.includes(call)).map(({ path }) => path)).toEqual([]);
});

test('no two exported things share a name', () => {
  const exported = /^export (?:async |abstract )?(?:function\*?|class|const|type|interface) (\w+)/gm;
  const places = new Map<string, string[]>();
  for (const { path, text } of [...files, ...pageFiles]) {
    for (const [, name = ''] of text.matchAll(exported)) places.set(name, [...(places.get(name) ?? []), path]);
  }
  expect([...places].filter(([, paths]) => paths.length > 1)).toEqual([]);
});

test('sentences name their subject', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];
  const folders = ['src', 'web', 'docs', 'bench', 'scripts'].flatMap((folder) =>
    filesBelow(folder)
      .filter((path) => /\.(tsx?|js|md|css|html)$/.test(path))
      .map((path) => join(folder, path)),
  );
  const vague = [...documents, ...folders].flatMap((path) =>
    readFileSync(join(ROOT, path), 'utf8')
      .split('\n')
      .flatMap((line, i) => (VAGUE_WORDS.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  );
  expect(vague).toEqual([]);
});

test('the page knows the service by the published client, and what is true of a dataset', () => {
  const strangers = importsWhere(pageFiles, (path, name) => {
    const isOutside = name.startsWith('node:') || /^(\.\.\/)+src\//.test(name);
    return path !== 'vite.config.ts' && isOutside && !KNOWN_TO_THE_PAGE.test(name);
  });
  expect(strangers).toEqual([]);
});
