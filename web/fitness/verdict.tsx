import { CircleCheck, CircleDashed, CircleX, LoaderCircle } from 'lucide-react';
import type { ReactNode } from 'react';
import { MAX_LISTED } from '../../src/api/limits.js';
import type { DatasetWithFiles, Status } from '../../src/client/client.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { CopyButton, CopyLine } from '../ui/copy.js';
import { countOf, numberOf, sizeOf } from '../ui/format.js';
import { LongList } from '../ui/long-list.js';
import { commandsFor } from './commands.js';

const LOOKS: Record<Status, { Icon: typeof CircleCheck; colours: string }> = {
  READY: { Icon: CircleCheck, colours: 'bg-good-soft text-good' },
  FAILED: { Icon: CircleX, colours: 'bg-bad-soft text-bad' },
  UPLOADING: { Icon: LoaderCircle, colours: 'bg-busy-soft text-busy' },
  DRAFT: { Icon: CircleDashed, colours: 'bg-raised text-muted' },
};

/** The answer first: can a trainer take this dataset as it is? */
export function Verdict({ dataset }: { dataset: DatasetWithFiles }) {
  const { Icon, colours } = LOOKS[dataset.status];
  const { title, words, more } = sayingOf(dataset);
  return (
    <section aria-label="Verdict" className="overflow-hidden rounded-xl border border-line bg-panel">
      <div role="status" className={`flex items-start gap-3 p-4 sm:p-5 ${colours}`}>
        <Icon size={28} className="mt-0.5 shrink-0" aria-hidden />
        <div className="flex min-w-0 flex-col gap-1">
          <h2 className="text-lg font-semibold">{title}</h2>
          <p className="wrap-anywhere text-text">{words}</p>
        </div>
      </div>
      {more}
    </section>
  );
}

function sayingOf(dataset: DatasetWithFiles): { title: string; words: ReactNode; more?: ReactNode } {
  const { status, error, counts } = dataset;
  switch (status) {
    case 'READY':
      return {
        title: 'Fit to train',
        words: `Every file was checked, and every image and clip has its caption: ${countsOf(dataset)}.`,
        more: <Handover dataset={dataset} />,
      };
    case 'FAILED':
      return { title: 'Not fit to train', words: wrongWith(error?.problems.length ?? 0) };
    case 'UPLOADING':
      return { title: 'Not complete yet', words: waitingFor(dataset), more: <Awaited dataset={dataset} /> };
    case 'DRAFT':
      return {
        title: 'Nothing to train on yet',
        words: `Drop a folder of images or clips with their captions anywhere on this page.${
          counts.pending > 0 ? ` ${countOf(counts.pending, 'file')} on the way.` : ''
        }`,
      };
  }
}

function countsOf({ counts: { images, videos, captions }, size_bytes }: DatasetWithFiles): string {
  const facts = [
    images > 0 && countOf(images, 'image'),
    videos > 0 && countOf(videos, 'clip'),
    countOf(captions, 'caption'),
    sizeOf(size_bytes),
  ];
  return facts.filter(Boolean).join(', ');
}

/** What a person takes to the trainer. */
function Handover({ dataset }: { dataset: DatasetWithFiles }) {
  const { digest } = dataset;
  return (
    <div className="flex flex-col gap-3 p-4 sm:p-5">
      {digest !== undefined && (
        <p className="flex flex-wrap items-center gap-x-2 text-sm">
          <span className="text-muted">Digest, which names exactly this set of files</span>
          <span className="flex min-w-0 items-center">
            <code className="wrap-anywhere">{digest}</code>
            <CopyButton text={digest} what="the digest" />
          </span>
        </p>
      )}
      <p className="text-sm text-muted">
        On the machine that trains: mount it, demand this very state of it, or print the settings of a job.
      </p>
      {commandsFor(dataset, digest).map(({ text, what }) => (
        <CopyLine key={text} text={text} what={what} />
      ))}
    </div>
  );
}

/** The service tells of so many one by one, and of more not. */
function wrongWith(problems: number): string {
  if (problems >= MAX_LISTED) return `More than ${numberOf(MAX_LISTED)} things are wrong; the first are listed below.`;
  return `${countOf(problems, 'thing')} ${problems === 1 ? 'is' : 'are'} wrong, and listed below. Upload what is missing or was refused, or delete it.`;
}

function waitingFor({ counts: { pending, uncaptioned, images, videos } }: DatasetWithFiles): string {
  const verb = (count: number) => (count === 1 ? 'is' : 'are');
  if (pending > 0) return `${countOf(pending, 'file')} ${verb(pending)} on the way.`;
  if (images + videos === 0) return 'There are captions, and the images or clips they belong to may still come.';
  if (uncaptioned > 0) return `${countOf(uncaptioned, 'caption')} ${verb(uncaptioned)} missing, and may still come.`;
  return 'More may still come.';
}

function Awaited({ dataset }: { dataset: DatasetWithFiles }) {
  const { awaited = [], counts } = dataset;
  if (awaited.length === 0) return null;
  return (
    <div className="flex flex-col gap-2 p-4 sm:p-5">
      <h3 className="text-sm font-medium">
        Waited for
        {counts.pending > awaited.length && `, the first ${numberOf(awaited.length)} of ${numberOf(counts.pending)}`}
      </h3>
      <div className="rounded-lg border border-line">
        <LongList label="Waited for" items={awaited}>
          {({ filename, until }) => (
            <p className="flex flex-wrap gap-x-4 px-3 py-2 text-sm">
              <span className="mr-auto wrap-anywhere">{filename}</span>
              <span className="text-muted">until {momentOf(dateOf(until))}</span>
            </p>
          )}
        </LongList>
      </div>
    </div>
  );
}
