import { rmSync } from 'node:fs';
import { afterAll } from 'vitest';
import { SETTINGS_FOLDER } from './settings-folder.js';

// For commands that get the whole environment of the tests.
process.env.XDG_CONFIG_HOME = SETTINGS_FOLDER;

// Files of tests share a process. No command may find what those of an earlier file have remembered.
afterAll(() => rmSync(SETTINGS_FOLDER, { recursive: true, force: true }));
