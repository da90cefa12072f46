import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from '../../src/dataset/inspect/inspect.js';
import type { Inspection } from '../../src/dataset/inspect/inspection.js';
import * as media from '../fixtures/media.js';

/** For the files of these tests, until the process ends. */
export const FOLDER = mkdtempSync(join(tmpdir(), 'inspect-'));
process.once('exit', () => rmSync(FOLDER, { recursive: true, force: true }));

let uploads = 0;
/** Writes bytes under a path of their own, since libvips knows files by their paths. */
export const writeUpload = (bytes: Buffer): string => media.writeMedia(FOLDER, `upload-${uploads++ % 64}`, bytes);

/** Inspects bytes under a name. */
export const inspectBytes = (filename: string, bytes: Buffer): Promise<Inspection> =>
  inspect({ path: writeUpload(bytes), filename });

/** The codes of the warnings, or that of the problem. */
export const codesOf = (found: Inspection): string[] =>
  found.ok ? found.warnings.map(({ code }) => code) : [found.problem.code];

/** `CODE: message` of the problem; `ok` for an accepted file. */
export const problemOf = (found: Inspection): string =>
  found.ok ? 'ok' : `${found.problem.code}: ${found.problem.message}`;
