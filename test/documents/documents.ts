import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of the project. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The paths of all documents, from the folder of the project. */
export function documentPaths(): string[] {
  const docs = readdirSync(`${ROOT}/docs`).filter((name) => name.endsWith('.md'));
  const others = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
    'test/faults/README.md',
    'bench/README.md',
  ];
  return [...others, ...docs.map((name) => `docs/${name}`)];
}
