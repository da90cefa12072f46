import { dirname } from 'node:path';
import type { Role, TrainyardClient } from '../../client/client.js';
import type { FixFlags } from '../fix/fix-files.js';
import type { FileInspector } from '../folder/inspect-files.js';
import { folderOf, isFolder } from '../folder/read-folder.js';
import { type RemoteOptions, remoteFrom } from '../remote.js';
import { realFolders } from '../sync/common-state.js';
import { pushDirection } from '../sync/report.js';
import type { ProgressDisplay } from '../terminal/progress.js';
import type { PushTask } from './prepare.js';

/** The options of `push`. */
export interface PushFlags extends RemoteOptions, FixFlags {
  readonly json?: boolean;
  readonly name?: string;
  readonly role?: Role;
  readonly replace?: true;
  readonly watch?: true;
  readonly both?: true;
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

/** What all pushes of a command share. */
export interface PushTools {
  readonly client: TrainyardClient;
  readonly inspector: FileInspector;
  readonly display: ProgressDisplay;
  readonly signal: AbortSignal;
}

/** The push of these files to one dataset. */
export async function pushTaskFrom(
  flags: PushFlags,
  { paths, name, role, tools }: { paths: readonly string[]; name: string; role: Role | undefined; tools: PushTools },
): Promise<PushTask> {
  const folder = paths.length === 1 && (await isFolder(paths[0] ?? '')) ? paths[0] : await folderOf(paths);
  const captionTexts = [flags.trigger, flags.captionAll].filter((text) => text !== undefined);
  const replaces = flags.replace === true || flags.watch === true;
  const winner = flags.ours ? 'source' : flags.theirs ? 'target' : undefined;
  return {
    ...tools,
    paths,
    name,
    role,
    follow: flags.follow === true,
    rules: {
      captionText: captionTexts.length === 0 ? undefined : captionTexts.join(', '),
      allowsUncaptioned: flags.allowUncaptioned === true,
      skipsBad: flags.skipBad === true || flags.watch === true,
      winner,
      replaces,
      overrules: flags.watch !== true,
      // The pending uploads of other clients are what a pull will fetch.
      withdraws: flags.both !== true,
    },
    concurrency: flags.concurrency,
    pair: { ...(await foldersOf(paths)), url: remoteFrom(flags).url },
    directionTo: (dataset) => pushDirection(dataset, { folder, url: flags.url, replaces }),
    waits: flags.wait,
  };
}

async function foldersOf(paths: readonly string[]): Promise<{ folders: string[]; isWhole: boolean }> {
  const areFolders = await Promise.all(paths.map(isFolder));
  const folders = await realFolders(paths.map((path, i) => (areFolders[i] ? path : dirname(path))));
  return { folders, isWhole: areFolders.every(Boolean) };
}
