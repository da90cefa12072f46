import { memo, useDeferredValue, useMemo, useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf, sizeOf } from '../../ui/format.js';
import { FlaggedImages } from '../flagged-images.js';
import { distanceOf, HASH_BITS } from '../image-analysis/hash.js';
import { Finding, Slider } from './finding.js';
import type { Seen } from './use-image-analysis.js';
import { useSimilar } from './use-similar.js';

/** Below this on the shorter side there is little to learn from (TRAINER: images are never enlarged). */
const TINY = 256;

/** Bits in which images that are the same to a person differ at the most, when one was scaled, re-encoded or lightened. */
const USUAL_DISTANCE = 5;
const MOST_DISTANCE = 10;

const FIRST_GROUPS = 10;

interface ImagesProps {
  readonly datasetId: string;
  readonly images: readonly DatasetFile[];
}

/** Files with the very same bytes. */
export const ExactDuplicates = memo(function ExactDuplicates({ datasetId, images }: ImagesProps) {
  const groups = useMemo(
    () => [...Map.groupBy(images, ({ sha256 }) => sha256).values()].filter(({ length }) => length > 1),
    [images],
  );
  const surplus = groups.reduce((sum, { length }) => sum + length - 1, 0);
  return (
    <Finding
      title="Exact duplicates"
      count={surplus}
      isOpen={surplus > 0}
      none="Every image is there once."
      words={`${countOf(surplus, 'file')} with the same bytes as another: trained on twice, and more than others.`}
    >
      <GroupList
        datasetId={datasetId}
        label="Exact duplicates"
        groups={groups.map((group) => group.map((file) => ({ file, figure: sizeOf(file.size_bytes) })))}
      />
    </Finding>
  );
});

/** Images that have few pixels, as the service has measured them. */
export const TinyImages = memo(function TinyImages({ datasetId, images }: ImagesProps) {
  const tiny = useMemo(
    () =>
      images
        .filter((image) => shorterOf(image) < TINY)
        .sort((a, b) => shorterOf(a) - shorterOf(b))
        .map((file) => ({ file, figure: `${file.width} × ${file.height}` })),
    [images],
  );
  return (
    <Finding
      title="Tiny"
      count={tiny.length}
      isOpen={tiny.length > 0}
      none={`Every image has ${TINY} pixels or more on its shorter side.`}
      words={`${countOf(tiny.length, 'image')} with less than ${TINY} pixels on the shorter side.`}
    >
      <FlaggedImages datasetId={datasetId} label="Tiny images" flagged={tiny} />
    </Finding>
  );
});

/** Images that look alike, such as a picture and its re-encoded copy, or neighbours in a series. */
export const NearDuplicates = memo(function NearDuplicates(props: { datasetId: string; seen: readonly Seen[] }) {
  const { datasetId, seen } = props;
  const [most, setMost] = useState(USUAL_DISTANCE);
  const groups = useSimilar(seen, useDeferredValue(most));
  const flagged = useMemo(() => groups?.map(flaggedOf), [groups]);
  const surplus = groups?.reduce((sum, { length }) => sum + length - 1, 0) ?? 0;
  return (
    <Finding
      title="Near-duplicates"
      count={surplus}
      none={groups === undefined ? 'Comparing …' : 'No two images look alike.'}
      words={`${countOf(surplus, 'image')} that look like another, in ${countOf(groups?.length ?? 0, 'group')}.`}
      controls={
        <Slider
          label="Alike"
          value={most}
          onChange={setMost}
          min={0}
          max={MOST_DISTANCE}
          text={`up to ${most} of ${HASH_BITS} features differ`}
        />
      }
    >
      <GroupList datasetId={datasetId} label="Near-duplicates" groups={flagged ?? []} />
    </Finding>
  );
});

function flaggedOf(group: readonly Seen[]) {
  const first = group[0]?.look.hash ?? [0, 0];
  return group.map(({ file, look }, index) => ({
    file,
    figure: `${file.width} × ${file.height}${index === 0 ? '' : `, ${distanceOf(first, look.hash)} apart`}`,
  }));
}

interface GroupListProps {
  readonly datasetId: string;
  readonly label: string;
  readonly groups: readonly (readonly { readonly file: DatasetFile; readonly figure: string }[])[];
}

function GroupList({ datasetId, label, groups }: GroupListProps) {
  const [shown, setShown] = useState(FIRST_GROUPS);
  return (
    <div className="flex flex-col items-start gap-4">
      {groups.slice(0, shown).map((group, index) => (
        <div key={group[0]?.file.filename} className="w-full border-t border-line pt-4 first:border-t-0 first:pt-0">
          <FlaggedImages datasetId={datasetId} label={`${label}, group ${index + 1}`} flagged={group} />
        </div>
      ))}
      {groups.length > shown && (
        <Button onClick={() => setShown(shown * 2)}>
          Show {numberOf(Math.min(shown, groups.length - shown))} more of {countOf(groups.length - shown, 'group')}
        </Button>
      )}
    </div>
  );
}

function shorterOf({ width, height }: DatasetFile): number {
  return Math.min(width ?? Number.POSITIVE_INFINITY, height ?? Number.POSITIVE_INFINITY);
}
