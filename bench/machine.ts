import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';

/** Names by the magic numbers of `statfs(2)`. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs',
  1481003842: 'XFS',
  2435016766: 'Btrfs',
  801189825: 'ZFS',
  2035054128: 'overlayfs',
  26985: 'NFS',
};

/** Describes the machine in one line. */
export async function machineLine(folder: string): Promise<string> {
  const { type } = await statfs(folder);
  const disk = FILE_SYSTEMS[type] ?? `file system 0x${type.toString(16)}`;
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  const cores = `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'})`;
  return `${cores}, ${memory}, Node ${process.versions.node}, ${process.platform} ${process.arch}, disk: ${disk}`;
}
