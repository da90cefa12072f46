import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the nearest `package.json` above this code, which is a source, or a part of a bundle somewhere in `dist`. */
export const PACKAGE_FOLDER = packageFolder(dirname(fileURLToPath(import.meta.url)));

function packageFolder(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : packageFolder(dirname(folder));
}

/**
 * The path of a program that is started as a process or a thread. `scripts/build-programs.js` builds each name that it finds in a
 * call of this function.
 *
 * @param name the path of its source below `src`, without extension: `service/inspection/inspect-in-process`
 */
export function programFile(name: string): string {
  return join(PACKAGE_FOLDER, 'dist', `${name}.js`);
}
