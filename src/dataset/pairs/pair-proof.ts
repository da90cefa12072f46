import type { LinkSlot } from '../dataset.js';
import { isPairError, PAIR_FAULTS, type PairFault, type PairFile, pairFaultOf } from './pair-faults.js';

/** By stem. */
export type PairGroups = ReadonlyMap<string, readonly PairFile[]>;

/** The sorted stems of each fault. */
export type PairProof = { readonly [Fault in PairFault]: readonly string[] };

export function provePairs(target: PairGroups, linked: PairGroups, slot: LinkSlot): PairProof {
  const proof = Object.fromEntries(PAIR_FAULTS.map((fault) => [fault, []])) as unknown as Record<PairFault, string[]>;
  for (const stem of new Set([...target.keys(), ...linked.keys()])) {
    const fault = pairFaultOf(target.get(stem) ?? [], linked.get(stem) ?? [], slot);
    if (fault !== undefined) proof[fault].push(stem);
  }
  for (const fault of PAIR_FAULTS) proof[fault].sort();
  return proof;
}

/** `unpaired` is the sum over the links. */
export function pairErrorsIn(proof: PairProof): number {
  return PAIR_FAULTS.filter(isPairError).reduce((sum, fault) => sum + proof[fault].length, 0);
}
