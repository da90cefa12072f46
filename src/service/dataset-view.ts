import {
  areInterrupted,
  type Dataset,
  type DatasetFile,
  liveUntil,
  type Micros,
  type PendingFile,
  type ReceivedFile,
  type Status,
  type StatusRules,
  type StoredFile,
  statusOf,
} from '../dataset/dataset.js';
import { digestOf, digestWithLinks } from '../dataset/digest.js';
import { type Findings, findingsOf, withFindings } from '../dataset/findings.js';
import { datasetStatusOf } from '../dataset/pairs/linked-status.js';
import { type LinkView, linkViewsOf } from '../dataset/pairs/links.js';
import { byFilename } from '../dataset/names.js';
import type { DatasetContents } from '../storage/catalog/pairs/linked-datasets.js';
import type { LinkingDataset } from '../storage/catalog/pairs/links.js';
import type { ServiceDependencies } from './dependencies.js';

/** The most training datasets that a view of a control or mask lists. */
const MAX_LINKED_FROM = 100;

/** What a request may learn of other datasets. */
export interface DatasetScope {
  /** The datasets that an answer may name because they link to this one; null: all of the account. */
  readonly boundIds: readonly string[] | null;
  /** A share learns nothing of linked datasets. */
  readonly isShare: boolean;
}

export const WHOLE_ACCOUNT: DatasetScope = { boundIds: null, isShare: false };

/** A dataset and its status at one moment. */
export interface DatasetSummary {
  readonly dataset: Dataset;
  readonly status: Status;
}

/** A dataset with its files at one moment. All lists are by name. */
export interface DatasetView extends DatasetSummary {
  /** Stored files without a problem. */
  readonly files: readonly StoredFile[];
  /** Stored files that a recheck found damaged. */
  readonly damagedFiles: readonly StoredFile[];
  readonly findings: Findings;
  /** Uploads that have not expired. */
  readonly pendingUploads: readonly PendingFile[];
  /** Whether no client seems to send the pending uploads. */
  readonly areUploadsInterrupted: boolean;
  /** Files that are still being checked. */
  readonly receivedFiles: readonly ReceivedFile[];
  /** Identifies the files with the linked datasets; only if READY. */
  readonly digest: string | undefined;
  /** Identifies the own files; only of a READY dataset with links. */
  readonly filesDigest: string | undefined;
  /** In the order of the slots; none for a share. */
  readonly links: readonly LinkView[];
  /** Whether this view leaves out its links. */
  readonly hidesLinks: boolean;
  /** The training datasets that link to it, at most `MAX_LINKED_FROM`. */
  readonly linkedFrom: readonly LinkingDataset[];
  /** Views of one dataset and scope with the same state are equal; `undefined` if it may change without a trace. */
  readonly state: string | undefined;
}

export async function datasetViewOf(
  { dataset, files, pairs }: DatasetContents,
  { boundIds, isShare }: DatasetScope,
  { catalog, rules, now }: Pick<ServiceDependencies, 'catalog' | 'rules' | 'now'>,
): Promise<DatasetView> {
  const at = now();
  const links = linkViewsOf(dataset, pairs, { at, rules });
  const status = datasetStatusOf(dataset, at, rules);
  const allStored = storedFilesIn(files);
  const stored = allStored.filter(({ upload }) => upload.problem === undefined);
  // By name, so that the findings do not depend on the order of rows.
  const others = files.filter(({ upload }) => upload.state !== 'stored');
  const own = findingsOf([...allStored, ...others], at, dataset.role);
  const filesDigest = status === 'READY' ? digestOf(stored) : undefined;
  const linkDigests = links.map(({ slot, digest = '' }) => ({ slot, digest }));
  const pendingUploads = files.filter((file): file is PendingFile => isLivePending(file, at)).sort(byFilename);
  const linkedFrom = async () =>
    dataset.isLinkedTo ? catalog.links.linkingTo(dataset.id, { among: boundIds, limit: MAX_LINKED_FROM }) : [];
  return {
    dataset,
    status,
    files: stored,
    damagedFiles: stored.length === allStored.length ? [] : allStored.filter(({ upload }) => upload.problem),
    findings: isShare
      ? own
      : withFindings(
          own,
          links.flatMap(({ problems }) => problems),
        ),
    pendingUploads,
    areUploadsInterrupted: areInterrupted(pendingUploads, dataset.counts.lastActivity, at),
    receivedFiles: files.filter((file): file is ReceivedFile => file.upload.state === 'received').sort(byFilename),
    digest: filesDigest && digestWithLinks(filesDigest, linkDigests),
    filesDigest: dataset.links.length === 0 ? undefined : filesDigest,
    links: isShare ? [] : links,
    hidesLinks: isShare && links.length > 0,
    linkedFrom: await linkedFrom(),
    state: viewStateOf({ dataset, at }, rules),
  };
}

/** The `state` of a view, computed without files. */
export function viewStateOf({ dataset, at }: { dataset: Dataset; at: Micros }, rules: StatusRules): string | undefined {
  // Uploads expire as time passes, and linking datasets change without a change of this one.
  const isPending = [dataset, ...dataset.links.map((link) => link.dataset)].some(({ counts }) => counts.pending > 0);
  if (isPending || dataset.isLinkedTo) return undefined;
  const linked = dataset.links.map(({ slot, dataset: { id, version, counts } }) => {
    return [slot, id, version, statusOf(counts, at, rules)];
  });
  return JSON.stringify([datasetStatusOf(dataset, at, rules), dataset.version, linked]);
}

export function storedFilesIn(files: readonly DatasetFile[]): StoredFile[] {
  return files.filter(isStored).sort(byFilename);
}

function isStored(file: DatasetFile): file is StoredFile {
  return file.upload.state === 'stored';
}

function isLivePending({ upload }: DatasetFile, now: Micros): boolean {
  return upload.state === 'pending' && liveUntil(upload) > now;
}
