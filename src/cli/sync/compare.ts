import { mediaTypeOf, stemOf } from '../../dataset/media.js';

/** The SHA-256 of each file of a folder or dataset, by filename. */
export type Hashes = ReadonlyMap<string, string>;

/** `undefined` where there is no such file. */
interface FileVersions {
  /** What folder and dataset last had in common, as far as it is known. */
  readonly common: string | undefined;
  /** The folder for a push, the dataset for a pull. */
  readonly source: string | undefined;
  readonly target: string | undefined;
  readonly settled?: SettledConflict | undefined;
}

/** A conflict that a person has decided, with the hashes of both versions; empty for one without the file. */
export interface SettledConflict {
  readonly winner: string;
  readonly loser: string;
}

export interface SyncRules {
  /** The side whose version is kept where both have changed; `undefined` leaves such files alone. */
  readonly winner: 'source' | 'target' | undefined;
  readonly replaces: boolean;
  /** A source that wins also restores files removed from the target and, with `replaces`, makes the target equal. */
  readonly overrules: boolean;
}

/** Why a file of the target stays as it is, although the source differs. */
export type Kept =
  | 'removed-from-source'
  | 'changed-in-target'
  | 'added-to-target'
  | 'removed-from-target'
  /** Both sides have changed it, and the target's version wins. */
  | 'target-wins';

/** `conflict`: changed on both sides, and stays until a person decides. */
export type SyncStep = 'same' | 'write' | 'remove' | 'conflict' | Kept;

/** A three-way comparison. A version that only the target has is lost only if the rules say that the source wins. */
export function syncStep(versions: FileVersions, rules: SyncRules): SyncStep {
  const { common, source, target } = versions;
  const { replaces } = rules;
  const sourceStep = source !== undefined ? 'write' : replaces ? 'remove' : 'removed-from-source';
  if (source === target) return 'same';
  if (target === common) return sourceStep;
  if (source === common) {
    const overrules = rules.winner === 'source' && rules.overrules;
    if (target === undefined) return overrules ? 'write' : 'removed-from-target';
    if (overrules && replaces) return sourceStep;
    return common === undefined ? 'added-to-target' : 'changed-in-target';
  }
  const winner = rules.winner ?? settledWinner(versions);
  if (winner === undefined) return 'conflict';
  return winner === 'source' ? sourceStep : 'target-wins';
}

function settledWinner({ source, target, settled }: FileVersions): 'source' | 'target' | undefined {
  const isSettled = (winner = '', loser = '') => settled?.winner === winner && settled.loser === loser;
  if (isSettled(source, target)) return 'source';
  return isSettled(target, source) ? 'target' : undefined;
}

export type SettledConflicts = ReadonlyMap<string, SettledConflict>;

const isCaption = (name: string) => mediaTypeOf(name)?.kind === 'caption';

/** What a push or a pull does with each file; every list is sorted. */
export type SyncPlan = Readonly<Record<SyncStep, readonly string[]>>;

/** The winners for single files. A removal that wins also removes the file from the target. */
export type Decisions = ReadonlyMap<string, 'source' | 'target'>;

export function syncPlanOf(
  { common, settled, source, target }: { common: Hashes; settled?: SettledConflicts; source: Hashes; target: Hashes },
  rules: SyncRules & { readonly decisions: Decisions },
): SyncPlan {
  const { decisions } = rules;
  const plan: Record<SyncStep, string[]> = {
    same: [],
    write: [],
    remove: [],
    conflict: [],
    'removed-from-source': [],
    'changed-in-target': [],
    'added-to-target': [],
    'removed-from-target': [],
    'target-wins': [],
  };
  const stepOf = (name: string): SyncStep => {
    const decided = decisions.get(name);
    const own = decided === undefined ? rules : { winner: decided, replaces: true, overrules: false };
    const [from, to] = [source.get(name), target.get(name)];
    const versions = { common: common.get(name), source: from, target: to, settled: settled?.get(name) };
    return syncStep(versions, own);
  };
  const media = new Map([...source.keys()].filter((name) => !isCaption(name)).map((name) => [stemOf(name), name]));
  for (const name of [...new Set([...source.keys(), ...target.keys()])].sort()) {
    let step = stepOf(name);
    const medium = media.get(stemOf(name));
    const isNewCaption = step === 'write' && isCaption(name) && !target.has(name);
    if (isNewCaption && medium !== undefined && decisions.get(name) !== 'source') {
      // It is for the picture beside it, and the target has another picture of this name.
      const other = decisions.has(name) ? 'target-wins' : stepOf(medium);
      if (other === 'conflict' || other === 'target-wins') step = other;
    }
    plan[step].push(name);
  }
  return plan;
}

/** Changes to the common state: a hash where both sides are the same now, `undefined` where neither has the file. */
export function commonChanges(common: Hashes, one: Hashes, other: Hashes): Map<string, string | undefined> {
  const changes = new Map<string, string | undefined>();
  for (const name of new Set([...common.keys(), ...one.keys()])) {
    const sha256 = one.get(name);
    if (sha256 === other.get(name) && sha256 !== common.get(name)) changes.set(name, sha256);
  }
  return changes;
}

/** What the target won. */
export function settledBy(plan: SyncPlan, source: Hashes, target: Hashes): SettledConflicts {
  const settled = (name: string) => ({ winner: target.get(name) ?? '', loser: source.get(name) ?? '' });
  return new Map(plan['target-wins'].map((name) => [name, settled(name)]));
}

/** The sent files that the dataset has in the same version. */
export function storedSince(sent: Hashes, dataset: Hashes): Map<string, string> {
  return new Map([...sent].filter(([name, sha256]) => dataset.get(name) === sha256));
}
