import { type FormEvent, memo, useMemo, useRef, useState } from 'react';
import type { DatasetWithFiles, Status } from '../../../src/client/client.js';
import { JobStatus } from '../../captions/bulk/job-status.js';
import { startJob, useJob } from '../../captions/bulk/jobs.js';
import { type BulkChange, changeTitle, planChanges } from '../../captions/bulk/plan.js';
import { CaptionField } from '../../captions/editing/caption-field.js';
import { CaptionLoopProvider, useOwnCaptionLoop } from '../../captions/editing/caption-loop.js';
import { FileLink } from '../../live/file-link.js';
import { isInCategory, type Pair, pairsOf } from '../../live/pairs.js';
import { Thumbnail } from '../../live/thumbnail.js';
import { useConnect } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { TextField } from '../../ui/fields.js';
import { countOf, numberOf } from '../../ui/format.js';
import { LongList, type LongListHandle } from '../../ui/long-list.js';
import { Panel } from '../../ui/panel.js';
import { useFrozenOrder } from '../../workbench/pair-order.js';

const NONE: readonly Pair[] = [];

/** Empty caption fields beside the images and clips that lack a caption, and a form that fills them all. */
export function MissingCaptionsPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, status } = dataset;
  const job = useJob(id);
  const isBeingFixed = useIsBeingFixed(status);
  const pairs = useMemo(() => pairsOf(dataset), [dataset]);
  const missing = useMemo(
    () => (isBeingFixed ? pairs.filter((pair) => isInCategory(pair, 'missing')) : NONE),
    [pairs, isBeingFixed],
  );
  // A field stays listed after it was saved, also the last one, so that nothing moves while the user types.
  const listed = useFrozenOrder('', pairs, { matching: missing, order: 'name' });
  const list = useRef<LongListHandle>(null);
  const reveal = (stem: string) => list.current?.show(listed.findIndex((pair) => pair.stem === stem));
  const loop = useOwnCaptionLoop({ datasetId: id, pairs: listed, reveal });
  if (listed.length === 0) return job && <JobStatus datasetId={id} job={job} />;
  return (
    <Panel title={titleOf(missing)}>
      {job !== undefined && <JobStatus datasetId={id} job={job} />}
      {missing.length > 0 && (job?.state ?? 'ended') === 'ended' && <FillForm datasetId={id} missing={missing} />}
      <div className="rounded-lg border border-line">
        <CaptionLoopProvider value={loop}>
          <LongList
            label="Missing captions"
            items={listed}
            height="max-h-[36rem]"
            handle={list}
            keyOf={({ stem }) => stem}
          >
            {(pair) => (
              <div className="h-36 px-3 py-2">
                <CaptionRow datasetId={id} pair={pair} />
              </div>
            )}
          </LongList>
        </CaptionLoopProvider>
      </div>
    </Panel>
  );
}

/** The caption of a pair, editable beside its image; as high as its parent. */
const CaptionRow = memo(function CaptionRow({ datasetId, pair }: { datasetId: string; pair: Pair }) {
  const filename = (pair.media[0] ?? pair.files[0])?.filename ?? '';
  return (
    <div className="flex h-full gap-3">
      <FileLink
        {...{ datasetId, filename }}
        aria-label={`Show ${filename}`}
        title={filename}
        className="group flex w-24 shrink-0 flex-col gap-1 text-xs sm:w-32"
      >
        <span className="relative flex min-h-0 grow items-center justify-center overflow-hidden rounded-lg border border-line bg-raised text-muted group-hover:border-accent">
          <Thumbnail datasetId={datasetId} file={pair.media[0]} className="absolute inset-0" />
        </span>
        <span className="truncate text-muted group-hover:underline">{filename}</span>
      </FileLink>
      <div className="min-w-0 grow">
        <CaptionField datasetId={datasetId} pair={pair} />
      </div>
    </div>
  );
});

/** `5 images and clips need a caption`. */
function titleOf(missing: readonly Pair[]): string {
  if (missing.length === 0) return 'No caption is missing';
  const hasClips = missing.some(({ media }) => media[0]?.kind === 'video');
  const hasImages = missing.some(({ media }) => media[0]?.kind === 'image');
  const verb = missing.length === 1 ? 'needs' : 'need';
  if (hasClips && hasImages) return `${numberOf(missing.length)} images and clips need a caption`;
  return `${countOf(missing.length, hasClips ? 'clip' : 'image')} ${verb} a caption`;
}

/**
 * Whether missing captions are asked for: from FAILED until READY. Each saved caption makes the dataset UPLOADING for a while,
 * because others may follow.
 */
function useIsBeingFixed(status: Status): boolean {
  const [wasFailed, setWasFailed] = useState(status === 'FAILED');
  const isBeingFixed = status === 'FAILED' || (wasFailed && status === 'UPLOADING');
  if (wasFailed !== isBeingFixed) setWasFailed(isBeingFixed);
  return isBeingFixed;
}

function FillForm({ datasetId, missing }: { datasetId: string; missing: readonly Pair[] }) {
  const connect = useConnect();
  const [text, setText] = useState('');
  const fill = (event: FormEvent) => {
    event.preventDefault();
    const change: BulkChange = { kind: 'fill', text, fillsBlank: false };
    const changes = planChanges(missing, () => undefined, change);
    if (changes.length > 0) startJob(connect, datasetId, changeTitle(change, changes.length), changes);
  };
  return (
    <form onSubmit={fill} className="flex flex-wrap items-end gap-2 text-sm">
      <div className="min-w-60 grow">
        <TextField
          label="Write each caption in its field below, or give all of them one text:"
          value={text}
          onChange={setText}
          placeholder="such as the trigger word"
        />
      </div>
      <Button type="submit" disabled={text.trim() === ''}>
        Fill {missing.length === 1 ? 'it' : `all ${numberOf(missing.length)}`}
      </Button>
    </form>
  );
}
