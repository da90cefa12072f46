import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Of the nearest `package.json`: this code may be a source, or a part of a bundle somewhere in `dist`. */
export const PACKAGE_FOLDER = packageFolder(dirname(fileURLToPath(import.meta.url)));

function packageFolder(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : packageFolder(dirname(folder));
}

/** `scripts/build-programs.js` builds each name in a call of this function. @param name its path below `src`, without extension */
export function programFile(name: string): string {
  return join(PACKAGE_FOLDER, 'dist', `${name}.js`);
}

export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(join(PACKAGE_FOLDER, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
