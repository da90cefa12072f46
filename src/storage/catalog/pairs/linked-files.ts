import type { LinkSlot } from '../../../dataset/dataset.js';
import type { PairFile } from '../../../dataset/pairs/pair-faults.js';
import type { Warning } from '../../../dataset/problems.js';
import type { Query } from '../../database/database.js';
import { pairFileReader } from './count-pairs.js';

/** A stored file of a linked dataset, as its targets need it. */
export interface LinkedFile extends PairFile {
  readonly upload: PairFile['upload'] & {
    readonly sha256: string;
    readonly warnings: readonly Warning[];
    readonly isDamaged: boolean;
  };
}

interface LinkedFileRow {
  readonly slot: string;
  readonly filename: string;
  readonly kind: string;
  readonly facts: string | null;
  readonly sha256: string | null;
  readonly warnings: string | null;
  readonly problem: string | null;
}

/** Selects the stored files of the datasets that targets link to. */
export function selectLinkedFiles(query: Query) {
  return query
    .selectFrom('link')
    .innerJoin('file', 'file.dataset_id', 'link.linked_id')
    .select(['link.slot', 'file.filename', 'file.kind', 'file.facts', 'file.sha256', 'file.warnings', 'file.problem'])
    .where('file.state', '=', 'stored');
}

/** The files of each slot, unordered. */
export function linkedFilesOf(rows: readonly LinkedFileRow[]): Map<LinkSlot, LinkedFile[]> {
  const bySlot = new Map<LinkSlot, LinkedFile[]>();
  const pairFileOf = pairFileReader();
  for (const row of rows) {
    const { filename, kind, upload } = pairFileOf(row);
    const warnings: readonly Warning[] = row.warnings === '[]' ? NO_WARNINGS : JSON.parse(row.warnings ?? '[]');
    const more = { sha256: row.sha256 ?? '', warnings, isDamaged: row.problem !== null };
    const file = { filename, kind, upload: { ...upload, ...more } };
    const slot = row.slot as LinkSlot;
    const files = bySlot.get(slot);
    if (files === undefined) bySlot.set(slot, [file]);
    else files.push(file);
  }
  return bySlot;
}

const NO_WARNINGS: readonly Warning[] = [];
