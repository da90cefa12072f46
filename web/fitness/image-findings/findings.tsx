import { memo, useDeferredValue, useMemo, useState } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { groupedBy } from '../../grouped-by.js';
import { Button } from '../../ui/button.js';
import { countOf, numberOf, sizeOf } from '../../ui/format.js';
import { type FlaggedFile, FlaggedImages } from '../flagged-images.js';
import { distanceOf, HASH_BITS } from '../image-analysis/hash.js';
import { Finding, Slider } from './finding.js';
import type { AnalyzedImage } from './use-image-analysis.js';
import { useSimilar } from './use-similar.js';

/** In pixels, on the shorter side. The trainer never enlarges images, so it learns little from smaller ones. */
const MIN_SIDE = 256;

/** Hashes of one picture, scaled, re-encoded or lightened, differ in no more bits than this. */
const DEFAULT_DISTANCE = 5;
const MAX_DISTANCE = 10;

const FIRST_GROUPS = 10;

interface ImagesProps {
  readonly datasetId: string;
  readonly images: readonly DatasetFile[];
}

/** Files with the same bytes. */
export const ExactDuplicates = memo(function ExactDuplicates({ datasetId, images }: ImagesProps) {
  const groups = useMemo(
    () => [...groupedBy(images, ({ sha256 }) => sha256).values()].filter(({ length }) => length > 1),
    [images],
  );
  const surplus = groups.reduce((sum, { length }) => sum + length - 1, 0);
  return (
    <Finding
      title="Exact duplicates"
      count={surplus}
      isOpen={surplus > 0}
      none="No two files have the same bytes."
      summary={`${countOf(surplus, 'file')} with the same bytes as another. The trainer trains on each copy, so the picture counts more than others.`}
    >
      <GroupList
        datasetId={datasetId}
        label="Exact duplicates"
        groups={groups.map((group) => group.map((file) => ({ file, detail: sizeOf(file.size_bytes) })))}
      />
    </Finding>
  );
});

/** Images with a short side, as measured by the service. */
export const TinyImages = memo(function TinyImages({ datasetId, images }: ImagesProps) {
  const tiny = useMemo(
    () =>
      images
        .filter((image) => shorterOf(image) < MIN_SIDE)
        .sort((a, b) => shorterOf(a) - shorterOf(b))
        .map((file) => ({ file, detail: `${file.width} × ${file.height}` })),
    [images],
  );
  return (
    <Finding
      title="Tiny"
      count={tiny.length}
      isOpen={tiny.length > 0}
      none={`Every image has ${MIN_SIDE} pixels or more on its shorter side.`}
      summary={`${countOf(tiny.length, 'image')} with fewer than ${MIN_SIDE} pixels on the shorter side.`}
    >
      <FlaggedImages datasetId={datasetId} label="Tiny images" flagged={tiny} />
    </Finding>
  );
});

interface NearDuplicatesProps {
  readonly datasetId: string;
  readonly analyzed: readonly AnalyzedImage[];
}

/** Images that look alike, such as a picture and its re-encoded copy, or consecutive shots of a series. */
export const NearDuplicates = memo(function NearDuplicates(props: NearDuplicatesProps) {
  const { datasetId, analyzed } = props;
  const [maxDistance, setMaxDistance] = useState(DEFAULT_DISTANCE);
  const groups = useSimilar(analyzed, useDeferredValue(maxDistance));
  const flagged = useMemo(() => groups?.map(labelled), [groups]);
  const surplus = groups?.reduce((sum, { length }) => sum + length - 1, 0) ?? 0;
  return (
    <Finding
      title="Near-duplicates"
      count={surplus}
      none={groups === undefined ? 'Comparing …' : 'No two images look alike.'}
      summary={`${countOf(surplus, 'image')} that look like another, in ${countOf(groups?.length ?? 0, 'group')}.`}
      controls={
        <Slider
          label="Distance"
          value={maxDistance}
          onChange={setMaxDistance}
          min={0}
          max={MAX_DISTANCE}
          text={`up to ${maxDistance} of ${HASH_BITS} bits of the hash differ`}
        />
      }
    >
      <GroupList datasetId={datasetId} label="Near-duplicates" groups={flagged ?? []} />
    </Finding>
  );
});

/** Labels each image with its size and its hash distance from the first of the group. */
function labelled(group: readonly AnalyzedImage[]) {
  const first = group[0]?.analysis.hash ?? [0, 0];
  return group.map(({ file, analysis }, index) => ({
    file,
    detail: `${file.width} × ${file.height}${index === 0 ? '' : `, distance ${distanceOf(first, analysis.hash)}`}`,
  }));
}

interface GroupListProps {
  readonly datasetId: string;
  readonly label: string;
  readonly groups: readonly (readonly FlaggedFile[])[];
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
