import type { LinkSlot } from '../dataset.js';
import { isPairError, PAIR_FAULTS, type PairFault, type PairFile, pairFaultOf } from './pair-faults.js';

/** The files of a dataset that may be in pairs, by stem. */
export type PairGroups = ReadonlyMap<string, readonly PairFile[]>;

/** The stems of a link that have each fault, sorted. */
export type PairProof = { readonly [Fault in PairFault]: readonly string[] };

/** Judges all stems of a link. */
export function provePairs(target: PairGroups, linked: PairGroups, slot: LinkSlot): PairProof {
  const proof = Object.fromEntries(PAIR_FAULTS.map((fault) => [fault, []])) as unknown as Record<PairFault, string[]>;
  for (const stem of new Set([...target.keys(), ...linked.keys()])) {
    const fault = pairFaultOf(target.get(stem) ?? [], linked.get(stem) ?? [], slot);
    if (fault !== undefined) proof[fault].push(stem);
  }
  for (const fault of PAIR_FAULTS) proof[fault].sort();
  return proof;
}

/** The stems of a link that have an error. The `unpaired` count of a dataset is the sum over its links. */
export function pairErrorsIn(proof: PairProof): number {
  return PAIR_FAULTS.filter(isPairError).reduce((sum, fault) => sum + proof[fault].length, 0);
}
