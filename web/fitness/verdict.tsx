import { CircleCheck, CircleDashed, CircleX, LoaderCircle } from 'lucide-react';
import { type ReactNode, useMemo } from 'react';
import { Link } from 'wouter';
import { MAX_LISTED } from '../../src/api/limits.js';
import type { DatasetWithFiles, Problem } from '../../src/client/client.js';
import { contentsOf } from '../live/datasets.js';
import { isInCategory, pairsOf } from '../live/pairs.js';
import { copiesAmong } from '../search/query.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { countOf, numberOf, sizeOf } from '../ui/format.js';
import { LongList } from '../ui/long-list.js';
import { STATUS_CLASSES } from '../ui/status-badge.js';
import { useIsSendingTo } from '../upload/queue/upload-queue.js';
import { MIN_SIDE, shorterOf } from './image-findings-panel.js';

const ICONS = { READY: CircleCheck, FAILED: CircleX, UPLOADING: LoaderCircle, DRAFT: CircleDashed } as const;

/** Says whether the dataset is ready to train on, and what to do next. */
export function Verdict({ dataset }: { dataset: DatasetWithFiles }) {
  const Icon = ICONS[dataset.status];
  const { title, text, more } = verdictOf(dataset, useIsSendingTo(dataset.id));
  return (
    <section aria-label="Verdict" className="overflow-hidden rounded-xl border border-line bg-panel">
      <div role="status" className={`flex items-start gap-3 p-4 sm:p-5 ${STATUS_CLASSES[dataset.status]}`}>
        <Icon size={28} className="mt-0.5 shrink-0" aria-hidden />
        <div className="flex min-w-0 flex-col gap-1">
          <h2 className="text-lg font-semibold">{title}</h2>
          <p className="wrap-anywhere text-text">{text}</p>
          {dataset.status === 'READY' && <WorthALook dataset={dataset} />}
        </div>
      </div>
      {more}
    </section>
  );
}

/** What keeps no dataset from training, and a person may want to change: each leads to its pairs. */
function WorthALook({ dataset }: { dataset: DatasetWithFiles }) {
  const found = useMemo(() => {
    const pairs = pairsOf(dataset);
    const media = pairs.flatMap((pair) => pair.media);
    const blank = pairs.filter((pair) => isInCategory(pair, 'blank')).length;
    const search = (query: string) => `q=${encodeURIComponent(query)}`;
    return [
      { words: `${numberOf(copiesAmong(pairs).size)} copies`, query: search('is:duplicate') },
      {
        words: `${numberOf(media.filter((file) => shorterOf(file) < MIN_SIDE).length)} tiny`,
        query: search(`width:<${MIN_SIDE} OR height:<${MIN_SIDE}`),
      },
      { words: countOf(blank, 'blank caption'), query: 'filter=blank' },
    ].filter(({ words }) => !words.startsWith('0 '));
  }, [dataset]);
  if (found.length === 0) return null;
  return (
    <p className="flex flex-wrap gap-x-2 text-text">
      Worth a look:
      {found.map(({ words, query }) => (
        <Link key={query} href={`/datasets/${dataset.id}?${query}`} className="text-link -my-1">
          {words}
        </Link>
      ))}
    </p>
  );
}

function verdictOf(dataset: DatasetWithFiles, isSending: boolean): { title: string; text: string; more?: ReactNode } {
  const { role, status, error, counts } = dataset;
  switch (status) {
    case 'READY':
      return { title: role === 'training' ? 'Fit to train' : `Fit as ${role}s`, text: readyTextOf(dataset) };
    case 'FAILED':
      return {
        title: role === 'training' ? 'Not fit to train' : `Not fit as ${role}s`,
        text: problemSummaryOf(error?.problems ?? []),
      };
    case 'UPLOADING':
      return { title: 'Not complete yet', text: waitingTextOf(dataset), more: <OpenUploads dataset={dataset} /> };
    case 'DRAFT':
      if (isSending) return { title: 'Not complete yet', text: 'Its files are waiting to be sent.' };
      return {
        title: role === 'training' ? 'Nothing to train on yet' : 'No images yet',
        text: `${
          role === 'training'
            ? 'Drop a folder of images or clips with their captions anywhere on this page.'
            : `Drop a folder of ${role}s anywhere on this page. Each has the name of its target; captions are not needed.`
        }${counts.pending > 0 ? ` Waiting for ${countOf(counts.pending, 'file')}.` : ''}`,
      };
  }
}

function readyTextOf(dataset: DatasetWithFiles): string {
  const { role, links, size_bytes } = dataset;
  const contents = [...contentsOf(dataset), sizeOf(size_bytes)].join(', ');
  if (role !== 'training') return `Every file passed its checks: ${contents}.`;
  const { mask, ...controls } = links ?? {};
  const counterparts = [
    Object.keys(controls).length === 1 && ', its control',
    Object.keys(controls).length > 1 && ', its controls',
    mask !== undefined && ', its mask',
  ];
  const captioned = `every image and clip has ${counterparts.some(Boolean) ? 'its' : 'a'} caption`;
  return `Every file passed its checks, and ${captioned}${counterparts.filter(Boolean).join('')}: ${contents}.`;
}

/** The service lists no more than `MAX_LISTED` problems. */
function problemSummaryOf(problems: readonly Problem[]): string {
  if (problems.length >= MAX_LISTED) return `At least ${numberOf(MAX_LISTED)} problems; the first are listed below.`;
  const { length } = problems.filter(({ code }) => code !== 'UPLOAD_EXPIRED');
  return length === 0
    ? 'An upload was interrupted.'
    : `${countOf(length, 'problem')}, listed below with ways to fix them.`;
}

function waitingTextOf({ role, counts, links }: DatasetWithFiles): string {
  const { pending, checking, uncaptioned, unpaired, images, videos } = counts;
  const checks = checking > 0 ? `Checking ${countOf(checking, 'file')} to the end.` : '';
  if (pending > 0) return `Waiting for ${countOf(pending, 'file')}. ${checks}`.trim();
  if (checking > 0) return checks;
  if (images + videos === 0) {
    return role === 'training'
      ? 'Waiting for the images or clips that belong to the captions.'
      : `Waiting for the ${role}s.`;
  }
  if (uncaptioned > 0) return `Waiting for ${countOf(uncaptioned, 'missing caption')}.`;
  if (unpaired > 0)
    return `Waiting for ${unpaired === 1 ? 'a control or mask' : `${numberOf(unpaired)} controls or masks`}.`;
  const unready = Object.values(links ?? {}).filter((link) => link?.status === 'UPLOADING');
  if (unready.length > 0) return `Waiting for the files of ${unready.map((link) => link?.name).join(', ')}.`;
  return 'Waiting for more files.';
}

/** The uploads that keep the dataset UPLOADING. The service lists no more than `MAX_LISTED` of each kind. */
function OpenUploads({ dataset: { awaited = [], checking = [], counts } }: { dataset: DatasetWithFiles }) {
  const pending = awaited.map(({ filename, until }) => ({ filename, when: `until ${momentOf(dateOf(until))}` }));
  const received = checking.map(({ filename, since }) => ({ filename, when: `since ${momentOf(dateOf(since))}` }));
  const lists = [
    { title: 'Pending uploads', total: counts.pending, uploads: pending },
    { title: 'Files being checked', total: counts.checking, uploads: received },
  ].filter(({ uploads }) => uploads.length > 0);
  if (lists.length === 0) return null;
  return (
    <div className="flex flex-col gap-4 p-4 sm:p-5">
      {lists.map(({ title, total, uploads }) => (
        <div key={title} className="flex flex-col gap-2">
          <h3 className="text-sm font-medium">
            {title}
            {total > uploads.length && `, the first ${numberOf(uploads.length)} of ${numberOf(total)}`}
          </h3>
          <LongList isFramed label={title} items={uploads}>
            {({ filename, when }) => (
              <p className="flex flex-wrap gap-x-4 px-3 py-2 text-sm">
                <span className="mr-auto wrap-anywhere">{filename}</span>
                <span className="text-muted">{when}</span>
              </p>
            )}
          </LongList>
        </div>
      ))}
    </div>
  );
}
