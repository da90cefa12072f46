import type { LinkSlot, Role } from '../../../../src/dataset/dataset.js';
import type { PushFile } from '../../../../src/client/client.js';
import { type FileKind, mediaTypeOf } from '../../../../src/dataset/media.js';
import type { PairProof } from '../../../../src/dataset/pairs/pair-faults.js';
import { slotWord } from '../../../live/slot-words.js';
import { Alert } from '../../../ui/loaded.js';
import { countOf, numberOf, shortListOf } from '../../../ui/format.js';
import type { PreparedPart } from './prepare-pairs.js';

/** A part of the folder, and the dataset that it becomes or is added to. */
export interface NamedPart extends PreparedPart {
  /** The name and the role of the dataset. */
  readonly name: string;
  readonly role: Role;
  /** Why no dataset of this name can be made; `''` if one can. */
  readonly nameError: string;
}

/** Stems that a line names. */
const MAX_NAMES = 10;

/** The datasets of a folder of pairs, with what will be uploaded to each and what will be wrong with the pairs. */
export function PartList({ parts }: { parts: readonly NamedPart[] }) {
  const slots = parts.flatMap(({ part }) => (part === 'target' ? [] : part));
  return (
    <ul aria-label="Datasets of the folder" className="divide-y divide-line rounded-lg border border-line text-sm">
      {parts.map(({ part, name, dataset, nameError, files, proof }) => (
        <li key={part} className="flex flex-col gap-0.5 px-3 py-2">
          <p className="flex flex-wrap gap-x-3">
            <span className="font-medium break-all">{name}</span>
            <span className="text-muted">
              {dataset === undefined ? 'new ' : ''}
              {part === 'target' ? 'training dataset' : slotWord(part, slots)}
            </span>
          </p>
          <p>{contentsTextOf(files, dataset !== undefined)}</p>
          <Alert>{nameError}</Alert>
          {part !== 'target' && proof !== undefined && <ProofLines proof={proof} slot={part} />}
        </li>
      ))}
    </ul>
  );
}

function contentsTextOf({ added, overwriting, unchanged }: PreparedPart['files'], exists: boolean): string {
  if (!exists) return kindsTextOf(added);
  const parts = [
    added.length > 0 && `${numberOf(added.length)} new: ${kindsTextOf(added)}`,
    overwriting.length > 0 && `${countOf(overwriting.length, 'file')} of the same name with other bytes`,
    unchanged > 0 && `${countOf(unchanged, 'file')} there already`,
  ].filter(Boolean);
  return parts.length === 0 ? 'no files' : parts.join(', ');
}

/** `12 images, 12 captions`. */
function kindsTextOf(files: readonly PushFile[]): string {
  const counted = (kind: FileKind, noun: string) => {
    const count = files.filter(({ name }) => mediaTypeOf(name)?.kind === kind).length;
    return count > 0 ? [countOf(count, noun)] : [];
  };
  const kinds = [...counted('image', 'image'), ...counted('video', 'clip'), ...counted('caption', 'caption')];
  return kinds.length === 0 ? 'no files' : kinds.join(', ');
}

function ProofLines({ proof, slot }: { proof: PairProof; slot: LinkSlot }) {
  const noun = slot === 'mask' ? 'mask' : 'control';
  const { missing, ambiguous, extra, clip } = proof;
  const errors = [
    missing.length > 0 && `No ${noun} for ${countOf(missing.length, 'target')}: ${shortListOf(missing, MAX_NAMES)}.`,
    ambiguous.length > 0 &&
      `Several images for ${countOf(ambiguous.length, noun)}: ${shortListOf(ambiguous, MAX_NAMES)}.`,
  ];
  const warnings = [
    extra.length > 0 && `No target for ${countOf(extra.length, noun)}: ${shortListOf(extra, MAX_NAMES)}.`,
    clip.length > 0 && `A clip, and no image, for ${countOf(clip.length, 'target')}: ${shortListOf(clip, MAX_NAMES)}.`,
  ];
  const lines = [
    ...errors.map((line) => ({ line, isError: true })),
    ...warnings.map((line) => ({ line, isError: false })),
  ];
  const shown = lines.filter(({ line }) => line !== false);
  if (shown.length === 0) return <p className="text-good">Each target has its {noun}.</p>;
  return shown.map(({ line, isError }) => (
    <p key={String(line)} className={`wrap-anywhere ${isError ? 'text-bad' : 'text-warn'}`}>
      {line}
    </p>
  ));
}
