import type { LinkSlot } from '../dataset.js';
import { finish, ITEMS_PER_PIECE } from '../../pieces.js';
import { PAIR_FAULTS, type PairFault, type PairFile, pairFaultOf } from './pair-faults.js';

/** The files of a dataset that may be in pairs, by stem. */
export type PairGroups = ReadonlyMap<string, readonly PairFile[]>;

/** The stems of a link that have each fault, sorted. */
export type PairProof = { readonly [Fault in PairFault]: readonly string[] };

/** Judges all stems of a link. */
export function provePairs(target: PairGroups, linked: PairGroups, slot: LinkSlot): PairProof {
  return finish(provePairSteps(target, linked, slot));
}

/** As `provePairs`. Yields where other work may run. */
export function* provePairSteps(
  target: PairGroups,
  linked: PairGroups,
  slot: LinkSlot,
): Generator<undefined, PairProof> {
  const proof: Record<PairFault, string[]> = {
    missing: [],
    ambiguous: [],
    misfit: [],
    stretched: [],
    clip: [],
    extra: [],
  };
  const stems = new Set([...target.keys(), ...linked.keys()]);
  let judged = 0;
  for (const stem of stems) {
    if (++judged % ITEMS_PER_PIECE === 0) yield;
    const fault = pairFaultOf(target.get(stem) ?? [], linked.get(stem) ?? [], slot);
    if (fault !== undefined) proof[fault].push(stem);
  }
  for (const fault of PAIR_FAULTS) proof[fault].sort();
  return proof;
}
