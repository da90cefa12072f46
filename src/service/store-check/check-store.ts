import { createHash } from 'node:crypto';
import type { Micros } from '../../dataset/dataset.js';
import type { BlobInventory } from '../../storage/blobs/inventory.js';
import { checkCounts, datasetIdsAfter } from '../../storage/catalog/catalog-check.js';
import { linkKeyOf } from '../../storage/catalog/catalog-snapshot.js';
import { storedTotals } from '../../storage/catalog/copy-catalog.js';
import { type OpenCatalog, openCatalog } from '../../storage/catalog/open-catalog.js';
import { dataFolderPaths, makePrivateFolder } from '../../storage/data-folder.js';
import { FolderInUse, lockFolder } from '../../storage/folder-lock.js';
import { openInventory } from '../../storage/open-blobs.js';
import { type Installation, requireExisting, requireFolder } from '../transfer/installation.js';
import { checkBytes } from './check-bytes.js';
import { type CheckState, FINDING_KINDS, type StoreFinding, type StoreFindingKind } from './findings.js';
import { checkObjects } from './find-strays.js';
import { CheckJournal } from './journal.js';
import { doubtOf, type Repaired, repair } from './repair.js';

const DATASETS_PER_PAGE = 100;

export interface StoreCheckProgress extends CheckState {
  readonly totalFiles: number;
  readonly totalBytes: number;
  readonly findings: number;
}

export interface StoreCheckOptions {
  readonly repairs: boolean;
  /** Begins again instead of continuing an interrupted check. */
  readonly restarts: boolean;
  /** How long a running service may still need an object that nothing names. */
  readonly blobGrace: Micros;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: StoreCheckProgress) => void;
  /** Called if an interrupted check is continued, with the time of its start in milliseconds since 1970. */
  readonly onContinue: (startedAt: number) => void;
  /** Called for each finding at the end. */
  readonly onFinding: (finding: StoreFinding, repaired: Repaired | undefined) => void;
}

export interface CheckedStore extends Omit<CheckState, 'phase' | 'after' | 'explained'> {
  readonly found: Record<StoreFindingKind, number>;
  /** Findings that a repair did not solve; all of them without `repairs`. */
  readonly unsolved: number;
  /** Why `repairs` did nothing. */
  readonly doubt: string | undefined;
}

interface OpenStore extends OpenCatalog {
  readonly inventory: BlobInventory;
  readonly isServed: boolean;
}

/**
 * Compares a catalog with its blob store, also beside running services: the bytes of every file with its SHA-256, every
 * object with the file that names it, and the counts of each dataset with its files. Memory does not grow with the number
 * of files. An interrupted check continues when it is run again.
 *
 * @throws TransferError `not_found`, ServiceError, BackendUnusable; the signal's reason
 */
export async function checkStore(installation: Installation, options: StoreCheckOptions): Promise<CheckedStore> {
  requireExisting({
    ...installation,
    dataFolder: isInFolder(installation) ? requireFolder(installation.dataFolder) : undefined,
  });
  const dataFolder = requireFolder(installation.dataFolder);
  const lock = lockUnlessServed(installation, dataFolder);
  // A server may start meanwhile; it removes temporary files itself.
  if (!options.repairs) lock?.release();
  const opened = await openCatalog({ ...installation, dataFolder, blobGrace: options.blobGrace });
  try {
    const inventory = await openInventory({ ...installation, dataFolder });
    try {
      return await check({ ...opened, inventory, isServed: lock === undefined }, dataFolder, options);
    } finally {
      await inventory.close();
    }
  } finally {
    await opened.close();
    if (options.repairs) lock?.release();
  }
}

function isInFolder({ databaseUrl, blobs }: Installation): boolean {
  return databaseUrl === undefined || blobs.kind === 'disk';
}

/** Locks the folder; `undefined` if another process serves it, or instances that share a bucket may run. */
function lockUnlessServed(installation: Installation, dataFolder: string): { release: () => void } | undefined {
  if (installation.blobs.kind !== 'disk') return undefined;
  try {
    return lockFolder(dataFolderPaths(dataFolder).lock);
  } catch (error) {
    if (error instanceof FolderInUse) return undefined;
    throw error;
  }
}

async function check(store: OpenStore, dataFolder: string, options: StoreCheckOptions): Promise<CheckedStore> {
  await makePrivateFolder(dataFolder);
  const journal = await CheckJournal.open(dataFolderPaths(dataFolder).check, {
    installation: createHash('sha256')
      .update((await linkKeyOf(store.database)) ?? '')
      .digest('hex'),
    startedAt: Date.now(),
    restarts: options.restarts,
  });
  if (journal.isContinued) options.onContinue(journal.startedAt);
  let isComplete = false;
  try {
    const state = await runPhases(store, journal, options);
    const result = await report(store, { journal, state }, options);
    isComplete = true;
    return result;
  } finally {
    await journal.close({ isComplete });
  }
}

/** Runs the phases that are left. */
async function runPhases(store: OpenStore, journal: CheckJournal, options: StoreCheckOptions): Promise<CheckState> {
  const { database: db, inventory, isServed, now } = store;
  const { signal, onProgress } = options;
  const totals = await storedTotals(db);
  let findings = 0;
  for await (const _ of journal.findings()) findings++;
  const show = (state: CheckState) =>
    onProgress({ ...state, totalFiles: totals.files, totalBytes: totals.bytes, findings });
  const record = async (found: readonly StoreFinding[], state: CheckState) => {
    findings += found.length;
    await journal.add(found, state);
    show(state);
  };
  let { state } = journal;
  for (const [phase, next] of [
    ['files', 'past files'],
    ['past files', 'objects'],
  ] as const) {
    if (state.phase !== phase) continue;
    state = await checkBytes({ db, inventory }, { from: state, signal, record, onFile: show });
    state = { ...state, phase: next, after: '' };
    await record([], state);
  }
  if (state.phase === 'objects') {
    state = await checkObjects({ db, inventory, isServed, now }, { from: state, signal, record });
    state = { ...state, phase: 'counts', after: '' };
    await record([], state);
  }
  for (;;) {
    const ids = await datasetIdsAfter(db, { after: state.after, limit: DATASETS_PER_PAGE });
    const found: StoreFinding[] = [];
    for (const id of ids) {
      signal.throwIfAborted();
      const miscounted = await checkCounts(db, id, { corrects: false });
      if (miscounted !== undefined) found.push({ kind: 'miscounted', ...miscounted });
    }
    state = { ...state, after: ids.at(-1) ?? state.after, datasets: state.datasets + ids.length };
    await record(found, state);
    if (ids.length < DATASETS_PER_PAGE) return state;
  }
}

async function report(
  store: OpenStore,
  { journal, state }: { journal: CheckJournal; state: CheckState },
  { repairs, blobGrace, signal, onFinding }: StoreCheckOptions,
): Promise<CheckedStore> {
  const { files, bytes, objects, datasets } = state;
  const found = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, 0])) as Record<StoreFindingKind, number>;
  for await (const { kind } of journal.findings()) found[kind]++;
  const doubt = repairs ? doubtOf(state, found) : undefined;
  const context = { ...store, db: store.database, grace: blobGrace, signal };
  let unsolved = 0;
  for await (const finding of journal.findings()) {
    signal.throwIfAborted();
    const repaired = repairs && doubt === undefined ? await repair(finding, context) : undefined;
    if (repaired?.isSolved !== true) unsolved++;
    onFinding(finding, repaired);
  }
  return { files, bytes, objects, datasets, found, unsolved, doubt };
}
