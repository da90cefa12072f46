import { Upload } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import type { DatasetFile, DatasetWithFiles, Link as PairLink } from '../../../src/client/client.js';
import type { LinkSlot } from '../../../src/dataset/dataset.js';
import { stemOf } from '../../../src/dataset/media.js';
import { filesByStem } from '../../live/counterparts.js';
import { FileLink } from '../../live/file-link.js';
import { Thumbnail } from '../../live/thumbnail.js';
import { useCanWrite } from '../../session/account.js';
import { WriteButton } from '../../session/write-button.js';
import { foldCase, messageOf, numberOf } from '../../ui/format.js';
import { Alert } from '../../ui/loaded.js';
import { LongList } from '../../ui/long-list.js';
import { addFiles } from '../../upload/add-files/add-files.js';
import { DropPlace } from '../../upload/add-files/drop-place.js';
import { chooseFiles, type DroppedFile } from '../../upload/add-files/dropped-files.js';
import { useUploads } from '../../upload/queue/upload-queue.js';
import { counterpartNameOf } from './counterpart-file.js';

/** A link of a training dataset, with the files of the linked dataset. */
export interface LinkedFiles {
  readonly dataset: DatasetWithFiles;
  readonly link: PairLink & { readonly slot: LinkSlot };
  /** Of the linked dataset; empty until they are known. */
  readonly files: readonly DatasetFile[];
  /** `control`, `control 2` or `mask`. */
  readonly word: string;
}

const PAIR_ROW = 'flex flex-wrap items-center gap-x-4 gap-y-1 px-3 py-2 text-sm';

interface StemListProps {
  readonly label: string;
  readonly stems: readonly string[];
  /** How many there are; the service lists the first thousand. */
  readonly count: number;
  readonly children: (stem: string) => ReactNode;
}

function StemList({ label, stems, count, children }: StemListProps) {
  return (
    <>
      <LongList label={label} items={stems} height="max-h-[36rem]">
        {children}
      </LongList>
      {count > stems.length && (
        <p className="border-t border-line px-3 py-2 text-sm text-muted">
          The first {numberOf(stems.length)} of {numberOf(count)} are listed. Repair these to see the others.
        </p>
      )}
    </>
  );
}

interface FilesOfStemsProps extends LinkedFiles {
  readonly of: PairLink['extra'];
  readonly label: string;
  /** Whether the files of the training dataset stand beside those of the linked one. */
  readonly withTargets?: boolean;
}

/** The files of each of some stems, with their sizes. */
export function FilesOfStems({ of, label, dataset, link, files, withTargets = false }: FilesOfStemsProps) {
  const sides = [
    ...(withTargets ? [{ datasetId: dataset.id, byStem: filesByStem(dataset.files) }] : []),
    { datasetId: link.dataset_id, byStem: filesByStem(files) },
  ];
  return (
    <StemList label={label} {...of}>
      {(stem) => (
        <div className={PAIR_ROW}>
          <span className="mr-auto wrap-anywhere">{stem}</span>
          {sides.flatMap(({ datasetId, byStem }) =>
            (byStem.get(stem) ?? []).map(({ filename, width, height }) => (
              <span key={datasetId + filename} className="flex flex-wrap gap-x-4">
                <FileLink {...{ datasetId, filename }} />
                <span className="text-muted">{width && height && `${width} × ${height}`}</span>
              </span>
            )),
          )}
        </div>
      )}
    </StemList>
  );
}

/** The targets that lack a control or mask, each with a place for the file that is missing. */
export function MissingList({ dataset, link, files, word }: LinkedFiles) {
  const canWrite = useCanWrite();
  const sending = useSendingStems(link.dataset_id);
  const [faults, setFaults] = useState<ReadonlyMap<string, string>>(new Map());
  const { slot, missing } = link;
  const targets = filesByStem(dataset.files);
  const near = useMemo(() => nearFilesOf(missing.stems, files), [missing.stems, files]);

  const place = (stem: string, files: readonly DroppedFile[]) => {
    const [only, ...others] = files;
    try {
      if (only?.file === undefined) throw new Error('Your browser could not read the file. Choose it again.');
      if (others.length > 0) throw new Error(`Choose one file, the ${word} of ${stem}.`);
      const isClip = targets.get(stem)?.[0]?.kind === 'video';
      const name = counterpartNameOf(only.file.name, { stem, slot, isClip });
      const file = new File([only.file], name, { type: only.file.type });
      addFiles(Promise.resolve([{ path: name, file }]), link.dataset_id);
      setFaults((known) => new Map([...known].filter(([key]) => key !== stem)));
    } catch (error) {
      setFaults((known) => new Map(known).set(stem, messageOf(error)));
    }
  };

  return (
    <StemList label={`Targets without a ${word}`} {...missing}>
      {(stem) => {
        const row = (
          <>
            <Target datasetId={dataset.id} stem={stem} file={targets.get(stem)?.[0]} />
            <div className="min-w-0 grow basis-40 wrap-anywhere">
              <p>{stem}</p>
              {near.has(stem) && <p className="text-muted">{near.get(stem)}</p>}
              <Alert>{faults.get(stem)}</Alert>
            </div>
          </>
        );
        if (!canWrite) return <div className={PAIR_ROW}>{row}</div>;
        return (
          <DropPlace onFiles={(files) => void files.then((dropped) => place(stem, dropped))} className={PAIR_ROW}>
            {row}
            <div className="flex items-center gap-3 rounded-lg border-2 border-dashed border-line px-3 py-1">
              <span className="text-muted">{sending.has(stem) ? 'Uploading …' : 'Drop the file here, or'}</span>
              <WriteButton
                icon={Upload}
                aria-label={`Choose a file as the ${word} of ${stem}`}
                disabled={sending.has(stem)}
                onClick={() => chooseFiles({}, ([file]) => file && place(stem, [{ path: file.name, file }]))}
              >
                Choose a file
              </WriteButton>
            </div>
          </DropPlace>
        );
      }}
    </StemList>
  );
}

function Target({ datasetId, stem, file }: { datasetId: string; stem: string; file: DatasetFile | undefined }) {
  if (file === undefined) return null;
  return (
    <FileLink
      datasetId={datasetId}
      filename={file.filename}
      aria-label={`Show the target ${stem}`}
      title={`Show ${file.filename}`}
      className="flex size-12 shrink-0 items-center justify-center overflow-hidden rounded-lg border border-line bg-raised text-muted hover:border-accent"
    >
      <Thumbnail datasetId={datasetId} file={file} />
    </FileLink>
  );
}

/** The stems of the files that this page is sending to a dataset. */
function useSendingStems(datasetId: string): ReadonlySet<string> {
  const { batches } = useUploads();
  return new Set(
    batches.flatMap(({ dataset, unsentNames }) => (dataset.id === datasetId ? unsentNames.map(stemOf) : [])),
  );
}

/** What may be meant by a missing control: a file of that stem that the trainer does not read, or one in other letters. */
function nearFilesOf(stems: readonly string[], files: readonly DatasetFile[]): Map<string, string> {
  const media = files.filter(({ kind }) => kind !== 'caption');
  const byStem = new Map(media.map(({ filename }) => [stemOf(filename), filename]));
  const byFolded = new Map(media.map(({ filename }) => [foldCase(stemOf(filename)), filename]));
  const texts = new Map<string, string>();
  for (const stem of stems) {
    const [same, similar] = [byStem.get(stem), byFolded.get(foldCase(stem))];
    if (same !== undefined) texts.set(stem, `The trainer does not take ${same}.`);
    else if (similar !== undefined) texts.set(stem, `There is ${similar}: the names must be equal in every letter.`);
  }
  return texts;
}
