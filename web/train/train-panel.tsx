import { type ReactNode, useState } from 'react';
import type { DatasetWithFiles } from '../../src/client/client.js';
import { type MediaChoice, needsGroupFolders } from '../../src/dataset/train/training-dataset.js';
import { GuideLink } from '../guide/guide-panel.js';
import { useDigest } from '../live/dataset.js';
import { CopyButton, CopyLine } from '../ui/copy.js';
import { TextField } from '../ui/fields.js';
import { LoopbackNote } from '../session/loopback-note.js';
import { Choices, Panel } from '../ui/panel.js';
import { mountSteps } from './mount-steps.js';
import { TarLines } from './tar-lines.js';
import { TrainerConfig } from './trainer-config.js';

/** The folder of datasets in the trainer's container image (ai-toolkit `docker/`). */
const USUAL_ROOT = '/workspace/datasets';

const MEDIA_OPTIONS = [
  { value: 'all', label: 'Images and clips' },
  { value: 'images', label: 'Images' },
  { value: 'videos', label: 'Clips' },
] as const satisfies readonly { value: MediaChoice | 'all'; label: string }[];

const MACHINES = [
  { value: 'node', label: 'has Node.js 20 or later' },
  { value: 'curl', label: 'has curl and tar alone' },
] as const;

/** The steps from a READY dataset to a training run, with the lines and settings to copy. */
export function TrainPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const digest = useDigest(dataset);
  const [root, setRoot] = useState(USUAL_ROOT);
  const [media, setMedia] = useState<MediaChoice | 'all'>('all');
  const [machine, setMachine] = useState<(typeof MACHINES)[number]['value']>('node');
  const isMixed = dataset.counts.images > 0 && dataset.counts.videos > 0;
  // An archive has all files.
  const canChoose = isMixed && machine === 'node';
  const only = canChoose && media !== 'all' ? media : undefined;
  const steps = machine === 'node' ? mountSteps(dataset, { serviceUrl: location.origin, root, only, digest }) : [];
  return (
    <Panel title="Train" aside={<GuideLink place="mounting">How mounting works</GuideLink>}>
      {digest !== undefined && (
        <p className="flex flex-wrap items-center gap-x-2 text-sm">
          <span className="text-muted">Fingerprint (digest) of exactly these files</span>
          <span className="flex min-w-0 items-center">
            <code className="wrap-anywhere">{digest}</code>
            <CopyButton text={digest} what="the fingerprint" />
          </span>
        </p>
      )}
      <div className="flex flex-wrap items-center gap-x-6 gap-y-2">
        <Choices label="The training machine" options={MACHINES} value={machine} onChange={setMachine} />
        <RootField root={root} onChange={setRoot} />
        {canChoose && <Choices label="Train on" options={MEDIA_OPTIONS} value={media} onChange={setMedia} />}
      </div>
      <LoopbackNote url={location.origin} then="copy the lines there" />
      <ol className="flex flex-col gap-4">
        {machine === 'curl' && digest !== undefined && (
          <Step title="1. Mount exactly these files by a link">
            {needsGroupFolders(dataset) && (
              <p className="text-sm text-warn">
                An archive has no folders for groups. Mount with Node.js, or the settings below find no files.
              </p>
            )}
            <TarLines key={digest} datasetId={dataset.id} digest={digest} root={root} />
          </Step>
        )}
        {steps.map(({ title, line, what }, index) => (
          <Step key={title} title={`${index + 1}. ${title}`}>
            <CopyLine text={line} what={what} />
          </Step>
        ))}
        <Step title={`${machine === 'node' ? steps.length + 1 : 2}. Give the trainer these settings`}>
          <TrainerConfig dataset={dataset} root={root} only={only} />
        </Step>
      </ol>
    </Panel>
  );
}

function Step({ title, children }: { title: string; children: ReactNode }) {
  return (
    <li className="flex min-w-0 flex-col gap-1">
      <h3 className="text-sm font-medium">{title}</h3>
      {children}
    </li>
  );
}

/** An absolute path of Linux or Windows. Quoted in the lines, `~` would not be expanded; and no trainer finds a folder without a name. */
const ABSOLUTE_PATH = /^(\/|[A-Za-z]:[\\/])/;

/** Calls `onChange` with absolute paths only, and says of others that the lines keep the last one. */
function RootField({ root, onChange }: { root: string; onChange: (root: string) => void }) {
  const [text, setText] = useState(root);
  const isAbsolute = ABSOLUTE_PATH.test(text.trim());
  const change = (next: string) => {
    setText(next);
    if (ABSOLUTE_PATH.test(next.trim())) onChange(next.trim());
  };
  return (
    <TextField
      label="Folder of datasets there"
      isBeside
      value={text}
      onChange={change}
      error={isAbsolute ? '' : `Write a path from the root, such as ${USUAL_ROOT}. The lines below still have ${root}.`}
      className="font-mono"
    />
  );
}
