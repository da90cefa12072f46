import { digestWithLinks } from '../digest.js';
import type { LinkSlot, Micros } from '../dataset.js';
import type { Revision } from '../history/revisions.js';

/** A kept revision whose state is known. */
export type KnownRevision = Pick<Revision, 'number' | 'startedAt' | 'changedAt'> & {
  readonly digest: string;
  readonly isReady: boolean;
};

/** The history of a linked dataset. */
export interface LinkedHistory<R extends KnownRevision> {
  readonly slot: LinkSlot;
  /** Kept ones, newest first. */
  readonly revisions: readonly R[];
}

/** What a target and its linked datasets were at one moment. */
export interface LinkedMoment<R extends KnownRevision> {
  readonly target: R;
  readonly links: readonly { readonly slot: LinkSlot; readonly revision: R }[];
  /** As `digestWithLinks` computes it. */
  readonly digest: string;
}

/**
 * Yields the sets of kept revisions that were the latest of their datasets at one moment and are all READY, newest first. The
 * states that a revision had before its last change are not kept. Which pairs were wrong at that moment is not looked at: a
 * digest was given only if none was.
 *
 * @param target kept revisions of the target, newest first
 */
export function* linkedMoments<R extends KnownRevision>(
  target: readonly R[],
  links: readonly LinkedHistory<R>[],
): Generator<LinkedMoment<R>> {
  const histories = [target, ...links.map(({ revisions }) => revisions)];
  // Revisions that overlap in time do so when the last of them has its last change.
  const moments = [...new Set(histories.flatMap((revisions) => revisions.map(({ changedAt }) => changedAt)))];
  moments.sort((a, b) => b - a);
  const places = histories.map(() => 0);
  for (const at of moments) {
    const current = histories.map((revisions, i) => {
      while (revisions[places[i]!] !== undefined && revisions[places[i]!]!.startedAt > at) places[i]!++;
      return latestAt(revisions[places[i]!], at);
    });
    const [own, ...linked] = current;
    const revisions = linked.filter((revision) => revision?.isReady === true) as R[];
    if (own?.isReady !== true || revisions.length < links.length) continue;
    const found = links.map(({ slot }, i) => ({ slot, revision: revisions[i]! }));
    const digests = found.map(({ slot, revision }) => ({ slot, digest: revision.digest }));
    yield { target: own, links: found, digest: digestWithLinks(own.digest, digests) };
  }
}

/** `undefined` while changes of the revision were still to come. */
function latestAt<R extends KnownRevision>(revision: R | undefined, at: Micros): R | undefined {
  return revision !== undefined && revision.changedAt <= at ? revision : undefined;
}
