import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The settings of commands, since those of the person who runs the tests must not change. */
export const SETTINGS_FOLDER = join(tmpdir(), `trainyard-settings-${process.pid}`);
