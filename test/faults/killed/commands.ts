import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import type { Api } from '../../harness/api.js';
import { IS_ALL } from '../../harness/available.js';
import { trainyard } from '../../harness/command.js';
import { contentOf, sha256 } from '../contents.js';
import { ABSENT } from '../mixed-load.js';
import { must, range } from './changes.js';

/** Where commands run: a server, and a folder of their own. */
export interface Scene {
  readonly api: Api;
  readonly dataFolder: string;
  readonly folder: string;
}

/** One run of a command, and how to tell whether it was done. */
export interface CommandRun {
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  /** Reads the state that it changes. */
  readonly read: () => Promise<unknown>;
  readonly after: unknown;
  /** `read` and `after` are objects; each field is as before or as after. */
  readonly isPerFile?: boolean;
  /** The exit code when it is done, if that is not 0. */
  readonly code?: number;
  /** The same command does not succeed a second time. */
  readonly isOnce?: boolean;
}

/** Prepares, and returns the run of each round. */
export type KilledCommand = (scene: Scene) => Promise<(round: number) => Promise<CommandRun>>;

const PAIRS = IS_ALL ? 40 : 12;
const NAMES = range(PAIRS).flatMap((i) => [`${i}.jpg`, `${i}.txt`]);

type Files = Record<string, string>;
const LOST = 'lost';
const MARKED = 'lost, and marked as lost';

/** The files of a dataset in one state, with sizes up to 100 KB. */
const stateOf = (note: string) =>
  new Map(NAMES.map((name, i) => [name, contentOf(name, `${name} ${note}`, (i % 5) * 25_000)]));
const hashesOf = (files: ReadonlyMap<string, Buffer>): Files =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)]));

async function upload(api: Api, id: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [name, bytes] of files) must(await api.upload(id, name, bytes));
}

async function write(folder: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
}

/** The files that a folder shows. */
async function filesIn(folder: string): Promise<Files> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
  const hashes = names.map(async (name) => [name, sha256(await readFile(join(folder, name)))]);
  return Object.fromEntries(await Promise.all(hashes));
}

const blobPath = (dataFolder: string, id: string) => join(dataFolder, 'blobs', id.slice(0, 2), id);

/**
 * The files of the catalog of a data folder, and the SHA-256 of their bytes. A catalog without files is one that an
 * interrupted copy left: a server rejects it beside blobs.
 */
async function storedIn(dataFolder: string): Promise<Files | string> {
  if (!existsSync(join(dataFolder, 'catalog.sqlite'))) return ABSENT;
  const rows = rowsIn(dataFolder);
  if (rows.length === 0) return ABSENT;
  const hashes = rows.map(async ({ dataset_id, id, filename, problem }) => {
    const bytes = await readFile(blobPath(dataFolder, id)).catch(() => undefined);
    return [`${dataset_id}/${filename}`, bytes !== undefined ? sha256(bytes) : problem === null ? LOST : MARKED];
  });
  return Object.fromEntries(await Promise.all(hashes));
}

function rowsIn(dataFolder: string): { dataset_id: string; id: string; filename: string; problem: string | null }[] {
  const db = new DatabaseSync(join(dataFolder, 'catalog.sqlite'), { readOnly: true });
  // A catalog has no tables before the first migration.
  const hasFiles = db.prepare(`select 1 from sqlite_schema where name = 'file'`).get() !== undefined;
  const select = `select dataset_id, id, filename, problem from file where state = 'stored'`;
  const rows = hasFiles ? db.prepare(select).all() : [];
  db.close();
  return rows as unknown as ReturnType<typeof rowsIn>;
}

const remote = ({ api }: Scene) => ({ TRAINYARD_URL: api.url, TRAINYARD_TOKEN: api.token });

async function succeed(args: readonly string[], env: Record<string, string> = {}): Promise<void> {
  const ended = await trainyard(args, { env });
  if (ended.code !== 0) throw new Error(`${args.join(' ')}: ${ended.code} ${ended.stderr}`);
}

/** A dataset that alternates between two states. */
async function alternating({ api }: Scene, name: string) {
  const id = await api.newDataset(name);
  const turn = async (round: number) => {
    const files = stateOf(`state ${round % 2}`);
    await upload(api, id, files);
    return hashesOf(files);
  };
  await turn(1);
  return { id, turn };
}

/** A backup of the server, and its contents. */
async function backUp({ dataFolder, folder }: Scene): Promise<{ dir: string; files: Files | string }> {
  const dir = join(folder, 'backup');
  await succeed(['backup', dir, '--data', dataFolder]);
  return { dir, files: await storedIn(dir) };
}

export const COMMANDS: Readonly<Record<string, KilledCommand>> = {
  backup: async (scene) => {
    const { turn } = await alternating(scene, 'backed-up');
    const { dir } = await backUp(scene);
    return async (round) => {
      await turn(round);
      const args = ['backup', dir, '--data', scene.dataFolder];
      return { args, read: () => storedIn(dir), after: await storedIn(scene.dataFolder) };
    };
  },
  // Without its catalog, the new folder can't be served.
  restore: async (scene) => {
    const { id } = await alternating(scene, 'copied');
    const { dir, files } = await backUp(scene);
    must(await scene.api.request('DELETE', `/${id}`));
    return async (round) => {
      const to = join(scene.folder, `copy-${round}`);
      return { args: ['restore', dir, '--data', to], read: () => storedIn(to), after: files, isOnce: true };
    };
  },
  'verify --store --repair': async (scene) => {
    await alternating(scene, 'repaired');
    const { dir } = await backUp(scene);
    return async () => {
      const copy = join(scene.folder, 'damaged');
      await rm(copy, { recursive: true, force: true });
      await cp(dir, copy, { recursive: true });
      const [lost] = rowsIn(copy);
      const orphan = blobPath(copy, `${lost!.id.slice(0, 2)}${'0'.repeat(lost!.id.length - 2)}`);
      await rm(blobPath(copy, lost!.id));
      await writeFile(orphan, 'no row names this');
      const read = async () => ({ ...((await storedIn(copy)) as Files), orphan: String(existsSync(orphan)) });
      const after = Object.entries(await read()).map(([name, hash]) => [name, hash === LOST ? MARKED : hash]);
      return {
        args: ['verify', '--store', '--repair', '--blob-grace-seconds', '0', '--data', copy],
        read,
        after: { ...Object.fromEntries(after), orphan: 'false' },
        // The lost file is marked, and stays lost.
        code: 65,
        isPerFile: true,
      };
    };
  },
  pull: async (scene) => {
    const { turn } = await alternating(scene, 'pulled');
    const folder = join(scene.folder, 'pulled');
    return async (round) => ({
      after: await turn(round),
      args: ['pull', 'pulled', folder],
      env: remote(scene),
      read: () => filesIn(folder),
      isPerFile: true,
    });
  },
  push: async (scene) => {
    const folder = join(scene.folder, 'pushed');
    const read = async () => {
      const [dataset] = (await scene.api.list('?name=pushed')).body.datasets;
      const files = dataset === undefined ? [] : (await scene.api.status(dataset.id)).body.files;
      return Object.fromEntries(files.map((file) => [file.filename, file.sha256]));
    };
    return async (round) => {
      const files = stateOf(`state ${round % 2}`);
      await write(folder, files);
      return { args: ['push', folder], env: remote(scene), read, after: hashesOf(files), isPerFile: true };
    };
  },
};
