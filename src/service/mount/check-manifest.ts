import { digestOf, digestWithLinks } from '../../dataset/digest.js';
import { ServiceError } from '../../dataset/errors.js';
import { mountedNameOf } from '../../dataset/media.js';
import { parseDatasetName, parseFilename } from '../../dataset/names.js';
import { slotText } from '../../dataset/pairs/roles.js';
import { MountError, type MountLink, type MountManifest, type WantedState } from './mount-source.js';

/** A control or mask dataset that is READY. */
interface MountableLink extends MountLink {
  readonly digest: string;
}

/** A READY dataset whose filenames are valid and whose digest matches its files and links. */
export interface MountableDataset extends MountManifest {
  readonly digest: string;
  readonly links: readonly MountableLink[];
}

/**
 * Checks a manifest, which may come from a service that is wrong or not trusted.
 *
 * @throws MountError `not_ready`, `failed`, `digest_differs`, `damaged`
 */
export function checkManifest(
  manifest: MountManifest,
  { digest: requiredDigest, revision }: WantedState,
): MountableDataset {
  const { name, status, digest } = manifest;
  if ((digest === undefined || status !== 'READY') && revision !== undefined) {
    const message = `Revision ${manifest.revision} of "${name}" is not fit to train on, and can't be mounted. To see which are, run: trainyard log ${JSON.stringify(name)}`;
    throw new MountError('failed', message);
  }
  if (digest === undefined || status !== 'READY') {
    const [code, advice] =
      status === 'UPLOADING'
        ? (['not_ready', 'Try again when the upload is complete.'] as const)
        : (['failed', `To see why, run: trainyard status ${JSON.stringify(name)}`] as const);
    throw new MountError(code, `"${name}" is ${status}, and only a READY dataset can be mounted. ${advice}`);
  }
  const required = requiredDigest ?? digest;
  if (required !== digest) {
    throw new MountError('digest_differs', `The digest of "${name}" is now ${digest}, not ${required}.`);
  }
  const links = manifest.links.filter((link): link is MountableLink => link.digest !== undefined);
  const checked = { ...manifest, digest, links };
  const fault = faultIn(manifest) ?? linkFaultIn(manifest) ?? digestFaultIn(checked);
  if (fault !== undefined) throw new MountError('damaged', `The manifest of "${name}" is invalid: ${fault}`);
  return checked;
}

function faultIn({ name, files }: MountManifest): string | undefined {
  const names = new Set<string>();
  const fault = nameFaultIn(name, parseDatasetName);
  if (fault !== undefined) return fault;
  for (const { filename } of files) {
    const ownFault = nameFaultIn(filename, parseFilename);
    if (ownFault !== undefined) return ownFault;
    names.add(mountedNameOf(filename));
  }
  return names.size < files.length
    ? 'several files have the same name once their extensions are lower-cased.'
    : undefined;
}

function nameFaultIn(name: string, parse: (raw: string) => string): string | undefined {
  try {
    return parse(name) === name ? undefined : `the name ${JSON.stringify(name)} is not normalized.`;
  } catch (error) {
    if (error instanceof ServiceError) return error.message;
    throw error;
  }
}

/** Each linked dataset becomes a folder beside that of the dataset. */
function linkFaultIn({ name, links }: MountManifest): string | undefined {
  const names = new Set([name]);
  for (const link of links) {
    const fault = nameFaultIn(link.name, parseDatasetName);
    if (fault !== undefined) return `of its ${slotText(link.slot)}, ${fault}`;
    if (link.digest === undefined) return `its ${slotText(link.slot)} ${JSON.stringify(link.name)} has no digest.`;
    if (names.has(link.name)) return `the name ${JSON.stringify(link.name)} is that of two of its datasets.`;
    names.add(link.name);
  }
  return undefined;
}

function digestFaultIn({ digest, files, links }: MountableDataset): string | undefined {
  const filesDigest = digestOf(files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  const computed = digestWithLinks(filesDigest, links);
  const whose = links.length === 0 ? 'its files have' : 'its files and linked datasets have';
  return computed === digest ? undefined : `${whose} the digest ${computed}, not ${digest}.`;
}
