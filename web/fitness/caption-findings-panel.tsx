import { memo, useMemo, useState } from 'react';
import { Link } from 'wouter';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { type CaptionFinding, type CaptionFindingCode, captionFindings } from '../../src/dataset/caption-findings.js';
import { PlannedChangeDialog, usePlannedChange } from '../captions/bulk/change-preview.js';
import type { BulkChange } from '../captions/bulk/plan.js';
import { CaptionProgress } from '../captions/caption-progress.js';
import { textOf, useReadPairs } from '../captions/read-pairs.js';
import { tagsIn } from '../captions/tags/caption-tags.js';
import { type Pair, pairsOf } from '../live/pairs.js';
import { WriteButton } from '../session/write-button.js';
import { countOf, messageOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';
import { FindingGroup } from './finding-group.js';

const TITLES: Record<CaptionFindingCode, string> = {
  REFUSAL: 'A model declined to describe the picture',
  ONLY_TRIGGER: 'Only the trigger word',
  SAME_CAPTION: 'The same caption',
  REPEATED_TAG: 'A tag that nearly all have',
  REPEATED_WORDS: 'Words that nearly all have',
  LONG_CAPTION: 'Longer than a text encoder reads',
};

/** A search takes no longer expression. */
const MAX_SEARCHED_WORDS = 8;

/** What a person may want to change in the texts of captions, each with a link to the pairs. Nothing if all is well. */
export const CaptionFindingsPanel = memo(function CaptionFindingsPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const pairs = useMemo(() => pairsOf(dataset).filter(({ caption }) => caption !== undefined), [dataset]);
  const { pairs: read, known, error } = useReadPairs(dataset.id, pairs);
  const texts = useMemo(() => {
    const known = (read ?? []).map(({ caption }) => [caption!.filename, textOf(caption!)] as const);
    return new Map(known.flatMap(([filename, text]) => (text === undefined ? [] : [[filename, text]])));
  }, [read]);
  const findings = useMemo(() => captionFindings([...texts].map(([filename, text]) => ({ filename, text }))), [texts]);
  const [removing, setRemoving] = useState<CaptionFinding>();
  const isReading = read === undefined && error === null && pairs.length > 0;
  if (findings.length === 0 && !isReading && error === null) return null;
  return (
    <Panel title="Caption texts">
      {isReading && <CaptionProgress done={known} total={pairs.length} what="captions read" />}
      {error !== null && <p role="alert">Could not read all captions. {messageOf(error)}</p>}
      {findings.map((finding) => (
        <FindingGroup key={finding.code + finding.what} title={TITLES[finding.code]} count={finding.filenames.length}>
          <p className="px-3 py-2 text-sm wrap-anywhere">{finding.message}</p>
          <div className="flex flex-wrap items-center gap-x-4 gap-y-2 border-t border-line px-3 py-2 text-sm">
            <Link
              href={`/datasets/${dataset.id}?${new URLSearchParams(filterOf(finding, texts.get(finding.filenames[0]!)))}`}
              className="text-link"
            >
              {finding.code === 'REPEATED_TAG' ? 'Show them, to rename or remove the tag' : 'Show them'}
            </Link>
            {(finding.code === 'REPEATED_TAG' || finding.code === 'REPEATED_WORDS') && (
              <WriteButton onClick={() => setRemoving(finding)}>Remove “{finding.what}” …</WriteButton>
            )}
          </div>
        </FindingGroup>
      ))}
      {removing !== undefined && (
        <RemovalDialog
          datasetId={dataset.id}
          pairs={read ?? []}
          finding={removing}
          text={texts.get(removing.filenames[0]!) ?? ''}
          onClose={() => setRemoving(undefined)}
        />
      )}
    </Panel>
  );
});

interface RemovalProps {
  readonly datasetId: string;
  readonly pairs: readonly Pair[];
  readonly finding: CaptionFinding;
  /** One of the captions, for the spelling of a tag. */
  readonly text: string;
  readonly onClose: () => void;
}

/** Removes what nearly all captions have, after a preview of each. */
function RemovalDialog({ datasetId, pairs, finding, text, onClose }: RemovalProps) {
  const { code, what } = finding;
  const asTag = code === 'REPEATED_TAG';
  const [find] = useState(() => (asTag ? spelledTag(what, text) : what));
  const change = useMemo<BulkChange>(
    () => ({ kind: 'replace', find, replacement: '', asTag, matchesCase: false, wholeWords: true }),
    [find, asTag],
  );
  const planned = usePlannedChange({ datasetId, pairs, change });
  return (
    <PlannedChangeDialog
      title={`Remove “${find}”`}
      {...{ planned, onClose }}
      kind="danger"
      label={`Remove from ${countOf(planned.count, 'caption')}`}
    />
  );
}

const wordsIn = (text: string) => text.toLowerCase().match(/[\p{L}\p{M}\p{N}_]+/gu) ?? [];

/** The part of the workbench that shows the captions of a finding. @param text of one of them, for the spelling of a tag */
function filterOf({ code, what }: CaptionFinding, text = ''): Record<string, string> {
  const words = wordsIn(what);
  const pattern = words.slice(0, MAX_SEARCHED_WORDS).join('[^\\p{L}\\p{N}]+');
  switch (code) {
    case 'REFUSAL':
      return { q: 'is:refusal' };
    case 'ONLY_TRIGGER':
      return { q: `/^${pattern}[^\\p{L}\\p{N}]*$/` };
    case 'SAME_CAPTION':
      return { filter: 'duplicates' };
    case 'REPEATED_TAG':
      return { tag: spelledTag(what, text) };
    case 'REPEATED_WORDS':
      return { q: `/${pattern}/` };
    case 'LONG_CAPTION':
      return { q: `tokens:>${what}` };
  }
}

function spelledTag(what: string, text: string): string {
  return tagsIn(text).find((tag) => wordsIn(tag).join() === wordsIn(what).join()) ?? what;
}
