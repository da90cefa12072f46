import { dirname } from 'node:path';
import type { Dataset, Role, TrainyardClient } from '../../client/client.js';
import { ServiceError } from '../../dataset/errors.js';
import { parseDatasetName } from '../../dataset/names.js';
import type { FixFlags } from '../fix/fix-files.js';
import type { FileInspector } from '../folder/inspect-files.js';
import { type FolderContents, folderOf, isFolder } from '../folder/read-folder.js';
import { type RemoteOptions, remoteFrom } from '../remote.js';
import { realFolders } from '../sync/common-state.js';
import type { SyncRules } from '../sync/compare.js';
import { datasetWord, pushDirection, type SyncDirection } from '../sync/report.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import type { ProgressDisplay } from '../terminal/progress.js';
import { printable } from '../terminal/text.js';

export interface PushFlags extends RemoteOptions, FixFlags {
  readonly name?: string;
  readonly role?: Role;
  readonly replace?: true;
  readonly watch?: true;
  readonly ours?: true;
  readonly theirs?: true;
  readonly follow?: true;
  readonly skipBad?: true;
  readonly allowUncaptioned?: true;
  readonly pairs?: true;
  readonly allowUnpaired?: true;
  readonly concurrency?: number;
  readonly trigger?: string;
  readonly captionAll?: string;
  readonly wait: boolean;
}

export interface PushTools {
  readonly client: TrainyardClient;
  readonly inspector: FileInspector;
  readonly display: ProgressDisplay;
  readonly signal: AbortSignal;
}

export interface PushTask extends PushTools {
  readonly flags: PushFlags;
  readonly paths: readonly string[];
  /** Files that were found already, as in an archive. Otherwise the paths are read. */
  readonly contents?: FolderContents;
  /** Need not exist yet. */
  readonly name: string;
  /** `undefined` leaves an existing dataset's role as it is. */
  readonly role: Role | undefined;
  readonly rules: SyncRules;
  /** The text of generated captions, for media without a caption. */
  readonly captionText: string | undefined;
  /** If false, one file with problems prevents the whole push. */
  readonly skipsBad: boolean;
  /** The service, and the real paths of the folders, or of an archive. */
  readonly pair: { readonly url: string; readonly folders: readonly string[] };
  /** All paths are folders, so that a missing file was removed. */
  readonly isWholeFolder: boolean;
  readonly directionTo: (dataset: { id: string; name: string }) => SyncDirection;
}

export async function pushTaskFrom(
  flags: PushFlags,
  { paths, name, role, tools }: { paths: readonly string[]; name: string; role: Role | undefined; tools: PushTools },
): Promise<PushTask> {
  const areFolders = await Promise.all(paths.map(isFolder));
  const folders = await realFolders(paths.map((path, i) => (areFolders[i] ? path : dirname(path))));
  const folder = paths.length === 1 && areFolders[0] ? paths[0] : await folderOf(paths);
  const replaces = flags.replace === true || flags.watch === true;
  const winner = flags.ours ? 'source' : flags.theirs ? 'target' : undefined;
  return {
    ...tools,
    ...{ flags, paths, name, role },
    rules: { winner, replaces, overrules: flags.watch !== true },
    captionText: [flags.trigger, flags.captionAll].filter(Boolean).join(', ') || undefined,
    skipsBad: flags.skipBad === true || flags.watch === true,
    pair: { folders, url: remoteFrom(flags).url },
    isWholeFolder: areFolders.every(Boolean),
    directionTo: (dataset) => pushDirection(dataset, { folder, url: flags.url, replaces }),
  };
}

/** @throws CommandError with 65 if the dataset of the push has another role */
export async function findOrCreate({ client, name, role, signal }: PushTask): Promise<Dataset> {
  const found = await client.find(name, { signal });
  if (found !== undefined) return found;
  const options = role === undefined || role === 'training' ? { signal } : { signal, role };
  const created = await client.create(name, options).catch(async (error) => {
    // Another client may have created it after `find`.
    const other = await client.find(name, { signal });
    if (other === undefined) throw error;
    return other;
  });
  requireRole(created, role);
  return created;
}

/** The given name, or else the one of what is sent. @param flag before a name. @throws CommandError with 65 if it is no name */
export function datasetNameFor(given: string | undefined, own: string, flag = ''): string {
  const raw = given ?? own;
  try {
    return parseDatasetName(raw);
  } catch (error) {
    if (!(error instanceof ServiceError) || given !== undefined) throw error;
    const allowed = raw.replace(/[^\p{L}\p{M}\p{Nd} ._-]/gu, '_').replace(/^[. ]+/, '') || 'my dataset';
    const message = `${JSON.stringify(own)} can't name a dataset. ${error.message} Choose another name, such as ${flag}${JSON.stringify(allowed)}.`;
    throw new CommandError(EXIT.dataError, message, { cause: error });
  }
}

/** @throws CommandError with 65 */
export function requireRole({ id, name, role }: Dataset, wanted: Role | undefined): void {
  if (wanted === undefined || wanted === (role ?? 'training')) return;
  const shown = `"${printable(name)}"`;
  const message =
    role === undefined
      ? `this service has no ${wanted} datasets, and ${shown} is an ordinary one.`
      : `${shown} is a ${printable(role)} dataset. To make it a ${wanted} dataset, run: trainyard role ${datasetWord({ id, name })} ${wanted}`;
  throw new CommandError(EXIT.dataError, message);
}

/** Only trainyard reports counts; other services of this API honour no conditions. */
export function isConditional({ counts }: Dataset): boolean {
  return counts !== undefined;
}
