import { slotText } from '../../dataset/pairs/roles.js';
import type { Mounted, MountedFolder } from '../../service/mount/mount.js';
import { counted, formatBytes, printable } from '../terminal/text.js';

/** A sentence for each folder of a dataset and its linked datasets. */
export function mountedLines(mounted: Mounted): string[] {
  const { linkedFolders, links, name } = mounted;
  const linked = linkedFolders.map(
    (folder, i) => `${sentenceFor(folder)}, ${slotText(links[i]!.slot)} of ${printable(name)}`,
  );
  return [sentenceFor(mounted), ...linked];
}

function sentenceFor({ outcome, name, folder, renamedFrom, digest, only, files, bytes }: MountedFolder): string {
  const part = only === undefined ? '' : `only ${only}, `;
  const content = `${part}${counted(files, 'file')}, ${formatBytes(bytes)}, digest ${digest.slice(0, 12)}`;
  const renamed = renamedFrom === undefined ? '' : ` (renamed from ${printable(renamedFrom)})`;
  return outcome === 'mounted'
    ? `mounted ${printable(name)} in ${printable(folder)}${renamed}: ${content}`
    : `${printable(name)} is unchanged in ${printable(folder)}${renamed}: ${content}`;
}

/** The JSON document of a dataset and its linked datasets. */
export function mountedDocument(mounted: Mounted) {
  const { links, linkedFolders } = mounted;
  const linked = links.map(({ slot, datasetId, name, revision, digest }, i) => {
    const folder = linkedFolders[i];
    return { as: slot, ...(folder ? folderDocument(folder) : { name, dataset_id: datasetId, digest, revision }) };
  });
  return { ...folderDocument(mounted), ...(linked.length > 0 && { linked }) };
}

export function folderDocument({ datasetId, name, outcome, folder, folderDigest, ...mounted }: MountedFolder) {
  const { renamedFrom, digest, only, layout, revision, files, bytes, warnings } = mounted;
  const choice = {
    ...(only !== undefined && { only }),
    ...(layout !== undefined && { layout }),
    ...(folderDigest !== digest && { folder_digest: folderDigest }),
  };
  const renamed = renamedFrom !== undefined && { renamed_from: renamedFrom };
  return {
    name,
    dataset_id: datasetId,
    outcome,
    folder,
    ...renamed,
    digest,
    ...choice,
    revision,
    files,
    bytes,
    warnings,
  };
}

/** For a person; those of all folders. */
export function warningsOf(mounted: Mounted): string[] {
  return [...new Set([mounted, ...mounted.linkedFolders].flatMap(({ warnings }) => warnings))];
}
