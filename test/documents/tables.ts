import { readFileSync } from 'node:fs';
import { ERROR_NUMBERS } from '../../src/api/error-codes.js';
import { hasBasePath, ROUTES, type Route } from '../../src/api/routes.js';
import { SETTINGS, type Setting } from '../../src/settings.js';

/*
 * The tables of the documents that follow from the code. Each stands between `<!-- table NAME -->` and `<!-- end -->`;
 * `npm run docs:tables` writes them, and `documents.test.ts` compares them.
 */

/** The headings of the table of routes, each with the first words of the names of its routes. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  datasets: ['dataset', 'links'],
  files: ['file', 'files', 'upload', 'uploads', 'captions', 'group', 'duplicates', 'tar'],
  captioning: ['caption-endpoint', 'caption-preset', 'caption-run', 'proposal'],
  history: ['revision'],
  account: ['account', 'session', 'token', 'share'],
  webhooks: ['webhook'],
  service: ['service'],
};

const TABLES: Readonly<Record<string, () => string>> = {
  settings: () => tableOf(['flag', 'variable', 'default', ''], Object.values<Setting>(SETTINGS).map(settingRow)),
  errors: () => tableOf(['status', '`error_code` and name'], [...errorsByStatus().values()]),
  ...Object.fromEntries(Object.entries(GROUPS).map(([name, parts]) => [name, () => routesTable(parts)])),
};

/** The document with its tables as the code has them. @throws Error for a table that does not exist */
export function withTables(path: string): string {
  const text = readFileSync(path, 'utf8');
  return text.replace(/<!-- table (\w+) -->\n.*?<!-- end -->/gs, (_, name: string) => {
    const table = TABLES[name];
    if (table === undefined) throw new Error(`${path}: there is no table "${name}".`);
    return `<!-- table ${name} -->\n\n${table()}\n\n<!-- end -->`;
  });
}

/** The routes of no group, which no table would have. */
export function ungroupedRoutes(): string[] {
  const parts = Object.values(GROUPS).flat();
  return Object.keys(ROUTES).filter((name) => !parts.includes(firstPart(name)));
}

function tableOf(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [titles, titles.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}

function settingRow({ flag, env, fallback, help }: Setting): string[] {
  return [`\`${flag.split(' ')[0]}\``, `\`${env}\``, fallback === undefined ? '' : `\`${fallback}\``, help];
}

function errorsByStatus(): Map<string, [string, string]> {
  const rows = new Map<string, [string, string]>();
  for (const [name, number] of Object.entries(ERROR_NUMBERS)) {
    const status = `${number}`.slice(0, 3);
    const before = rows.get(status)?.[1];
    rows.set(status, [status, `${before === undefined ? '' : `${before}, `}${number} \`${name}\``]);
  }
  return rows;
}

function routesTable(parts: readonly string[]): string {
  const routes = Object.entries<Route>(ROUTES).filter(([name]) => parts.includes(firstPart(name)));
  return tableOf(
    ['request', 'who', ''],
    routes.map(([, row]) => [requestOf(row), callersOf(row), row.summary]),
  );
}

function requestOf(row: Route): string {
  const [method, path = ''] = row.at.split(' ');
  return `\`${method} ${hasBasePath(row) ? '…' : ''}${path.replace(/:(\w+)/g, '{$1}')}\``;
}

function callersOf({ at, access, link }: Route): string {
  if (link === 'upload') return 'link';
  const token = access ?? (at.startsWith('GET') ? 'read' : 'write');
  return link === undefined ? token : `${token}, link`;
}

function firstPart(name: string): string {
  return name.split('.')[0] ?? '';
}
