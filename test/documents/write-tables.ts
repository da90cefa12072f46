// `npm run docs:tables`: writes the tables that follow from the code into the documents.
import { writeFileSync } from 'node:fs';
import { documentPaths, ROOT } from './documents.js';
import { withTables } from './tables.js';

for (const path of documentPaths()) writeFileSync(`${ROOT}/${path}`, withTables(`${ROOT}/${path}`));
