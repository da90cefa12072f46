import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, test } from 'vitest';
import { documentPaths, ROOT } from './documents/documents.js';
import { ungroupedRoutes, withTables } from './documents/tables.js';

const paths = documentPaths();
const textOf = (path: string) => readFileSync(join(ROOT, path), 'utf8');
/** Without blocks of code. */
const proseOf = (path: string) => textOf(path).replace(/^```.*?^```/gms, '');

/** The anchors of a document's headings, as GitHub and npm make them. */
function anchorsOf(path: string): string[] {
  return [...proseOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The source files in a folder and below it, with their paths from the folder of the project. */
function sourcesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(tsx?|js|html|sh|yaml|conf|service)$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

/** What is wrong with a link from a document or a message; `undefined` if it leads somewhere. */
function faultOf(target: string): string | undefined {
  const [path = '', anchor] = target.split('#');
  try {
    if (anchor !== undefined) return anchorsOf(path).includes(anchor) ? undefined : `no heading: ${target}`;
    readFileSync(join(ROOT, path));
    return undefined;
  } catch {
    return `no file: ${target}`;
  }
}

test.each(paths)('%s links to pages and headings that exist', (path) => {
  const targets = [...proseOf(path).matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)]
    .map(([, link, image]) => link ?? image ?? '')
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => (link.startsWith('#') ? path + link : normalize(join(dirname(path), link))));
  expect(targets.flatMap((target) => faultOf(target) ?? [])).toEqual([]);
});

test('every document is reached from the README', () => {
  const reached = new Set(['README.md']);
  for (const path of reached) {
    for (const [, link = ''] of proseOf(path).matchAll(/\]\(([^)#\s]+\.md)[^)]*\)/g)) {
      if (!/^[a-z]+:/.test(link)) reached.add(normalize(join(dirname(path), link)));
    }
  }
  expect(paths.filter((path) => !reached.has(path))).toEqual([]);
});

test('messages, the page and comments name documents and headings that exist', () => {
  // Not in a longer path: ai-toolkit and musubi have documents of their own.
  const named = /(?<![\w/.'-])(?:docs\/[\w-]+|README|CONTRIBUTING|SECURITY|CHANGELOG)\.md(?:#[\w-]+)?/g;
  const faults = ['src', 'web', 'test', 'bench', 'scripts', 'packaging'].flatMap(sourcesBelow).flatMap((path) =>
    [...textOf(path).matchAll(named)].flatMap(([target]) => {
      const fault = faultOf(target);
      return fault === undefined ? [] : [`${path}: ${fault}`];
    }),
  );
  expect(faults).toEqual([]);
});

test.each(paths)(
  '%s names paths that exist, and has the tables that follow from the code (npm run docs:tables)',
  (path) => {
    const named = textOf(path).matchAll(/`((?:src|test|web|bench|scripts|packaging|examples)\/[\w./-]*[\w/])`/g);
    expect([...named].flatMap(([, target = '']) => (existsSync(join(ROOT, target)) ? [] : [target]))).toEqual([]);
    expect(textOf(path)).toBe(withTables(join(ROOT, path)));
  },
);

test('every test that the table of faults names exists', () => {
  const files = readdirSync(join(ROOT, 'test/faults'));
  const names = [...textOf('test/faults/README.md').matchAll(/^\|.*\| (`[^|]*) \|$/gm)]
    .flatMap(([, cell = '']) => [...cell.matchAll(/`(?:npm run faults -- )?([a-z0-9-]+)(?:\.test)?(?: --.*?)?`/g)])
    .map(([, name = '']) => name);
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !files.some((file) => file.startsWith(name)))).toEqual([]);
});

test('every route is in the table of the API', () => {
  expect(ungroupedRoutes()).toEqual([]);
});

test('the README is short, in length and in its sentences', () => {
  expect(textOf('README.md').split('\n').length).toBeLessThanOrEqual(100);
  const sentences = proseOf('README.md')
    .replace(/<[^>]*>|^#.*$/gm, '')
    .replace(/\]\([^)]*\)/g, ']')
    .split(/[.!?:](?=\s)|\n\n|\n- /);
  expect(sentences.filter((sentence) => sentence.trim().split(/\s+/).length > 25)).toEqual([]);
});

test('all of them together can be read', () => {
  const words = paths.map((path) => textOf(path).match(/\S*[\p{L}\p{N}]\S*/gu)?.length ?? 0);
  expect(words.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(22_000);
});
