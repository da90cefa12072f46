import type { DatasetWithFiles } from '../../src/client/client.js';
import { countOf, numberOf } from '../ui/format.js';

type LinkState = NonNullable<NonNullable<DatasetWithFiles['links']>['mask']>;

const MAX_STEMS = 5;

/** What is missing in a link, as it is saved. */
export function PairState({ link, word }: { link: LinkState; word: string }) {
  const { missing, ambiguous, misfit, stretched, extra, status } = link;
  const lines = [
    missing.count > 0 && `No ${word} for ${countOf(missing.count, 'target')}: ${namesOf(missing)}`,
    ambiguous.count > 0 && `Several files of one name: ${namesOf(ambiguous)}`,
    misfit.count > 0 && `The sizes do not fit: ${namesOf(misfit)}`,
    stretched.count > 0 && `Of another aspect ratio: ${namesOf(stretched)}`,
    extra.count > 0 && `No target for ${countOf(extra.count, 'file')}: ${namesOf(extra)}`,
    status !== 'READY' && `The dataset is ${status}`,
  ].filter((line) => line !== false);
  return (
    <ul className="flex flex-col gap-0.5 text-sm text-muted sm:pl-27">
      {lines.length === 0 ? <li className="text-good">Each target has its {word}.</li> : null}
      {lines.map((line) => (
        <li key={line} className="wrap-anywhere">
          {line}.
        </li>
      ))}
    </ul>
  );
}

function namesOf({ count, stems }: LinkState['missing']): string {
  const more = count - Math.min(stems.length, MAX_STEMS);
  return stems.slice(0, MAX_STEMS).join(', ') + (more > 0 ? ` and ${numberOf(more)} more` : '');
}
