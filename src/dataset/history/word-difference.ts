export interface Piece {
  readonly kind: 'same' | 'removed' | 'added';
  readonly text: string;
}

/** Aligning is quadratic; texts with more words, spaces included, count as replaced. */
const MAX_ALIGNED_WORDS = 1500;

/** A word diff by the longest common subsequence. */
export function differenceOf(before: string, after: string): Piece[] {
  const old = wordsIn(before);
  const now = wordsIn(after);
  const removed = (text: string): Piece => ({ kind: 'removed', text });
  const added = (text: string): Piece => ({ kind: 'added', text });
  if (Math.max(old.length, now.length) > MAX_ALIGNED_WORDS) return merged([...old.map(removed), ...now.map(added)]);
  // By [i][j], the length for old[i…] and now[j…].
  const common = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      common[i]![j] = old[i] === now[j] ? common[i + 1]![j + 1]! + 1 : Math.max(common[i + 1]![j]!, common[i]![j + 1]!);
    }
  }
  const pieces: Piece[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length && j < now.length) {
    if (old[i] === now[j]) {
      pieces.push({ kind: 'same', text: old[i++]! });
      j++;
    } else if (common[i + 1]![j]! >= common[i]![j + 1]!) pieces.push(removed(old[i++]!));
    else pieces.push(added(now[j++]!));
  }
  return merged([...pieces, ...old.slice(i).map(removed), ...now.slice(j).map(added)]);
}

function wordsIn(text: string): string[] {
  return text.match(/[\p{L}\p{N}\p{M}_]+|\s+|[^\p{L}\p{N}\p{M}_\s]/gu) ?? [];
}

function merged(pieces: readonly Piece[]): Piece[] {
  const runs: { kind: Piece['kind']; text: string }[] = [];
  for (const { kind, text } of pieces) {
    const last = runs.at(-1);
    if (last?.kind === kind) last.text += text;
    else runs.push({ kind, text });
  }
  return runs;
}
