import { slotText } from '../../dataset/pairs/roles.js';
import { checkManifest, type MountableDataset } from './check-manifest.js';
import { DatasetChanged, MountError, type MountLink, type MountSource } from './mount-source.js';

/** A dataset in one state, and where its files come from. */
export interface SourcedDataset {
  readonly dataset: MountableDataset;
  readonly source: MountSource;
}

export interface SourcedLink extends SourcedDataset {
  readonly link: MountLink;
}

/** A dataset and its controls and mask, all in the states that they had at one moment. */
export interface MountSet extends SourcedDataset {
  readonly linked: readonly SourcedLink[];
}

/** Errors of a linked dataset that has changed since the manifest of the target was read. */
const CHANGED = ['dataset_not_found', 'revision_not_found', 'digest_differs', 'not_ready', 'failed'];

/**
 * Reads the manifests of the linked datasets in exactly the states that the manifest of a dataset names.
 *
 * @throws DatasetChanged if one of those states is no longer there; MountError; the errors of the source; the signal's reason
 */
export async function readLinkedDatasets(
  { dataset, source }: SourcedDataset,
  { signal }: { signal: AbortSignal },
): Promise<SourcedLink[]> {
  const linked: SourcedLink[] = [];
  for (const link of dataset.links) {
    const name = JSON.stringify(link.name);
    const linkedSource = source.linked(link);
    const found = await linkedSource
      .manifest(signal)
      .then((manifest) => checkManifest(manifest, { digest: link.digest }))
      .catch((error) => {
        const hasChanged = error instanceof Error && 'code' in error && CHANGED.includes(String(error.code));
        throw hasChanged
          ? new DatasetChanged(`its ${slotText(link.slot)} ${name}: ${error.message}`, { cause: error })
          : error;
      });
    if (found.datasetId !== link.datasetId || found.name !== link.name) {
      throw new DatasetChanged(`its ${slotText(link.slot)} ${name} is now called ${JSON.stringify(found.name)}`);
    }
    if (found.links.length > 0) {
      const message = `The manifest of ${JSON.stringify(dataset.name)} is invalid: its ${slotText(link.slot)} ${name} has links itself.`;
      throw new MountError('damaged', message);
    }
    linked.push({ link, dataset: found, source: linkedSource });
  }
  return linked;
}
