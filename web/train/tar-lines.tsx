import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { tarCommands } from '../../src/command-line.js';
import { useClient } from '../session/client.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Alert } from '../ui/answer.js';
import { Button } from '../ui/button.js';
import { CopyLine } from '../ui/copy.js';
import { messageOf } from '../ui/format.js';
import { Choices } from '../ui/panel.js';

const VALIDITIES = [
  { value: 3600, label: '1 hour' },
  { value: 86_400, label: '1 day' },
  { value: 604_800, label: '7 days' },
];

interface TarLinesProps {
  readonly datasetId: string;
  /** The state that the lines download. */
  readonly digest: string;
  /** The folder of datasets on the training machine. */
  readonly root: string;
}

/** Makes lines that mount a READY dataset on a machine without Node. Give it a key with the digest: a link is of one state. */
export function TarLines({ datasetId, digest, root }: TarLinesProps) {
  const client = useClient();
  const [seconds, setSeconds] = useState(3600);
  const linking = useMutation({
    mutationFn: () => client.tarLink(datasetId, { digest, seconds }),
    networkMode: 'always',
  });
  const link = linking.data;
  const commands = link && tarCommands(link, root);
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-3">
        <Choices label="Valid for" options={VALIDITIES} value={seconds} onChange={setSeconds} />
        <Button disabled={linking.isPending} onClick={() => linking.mutate()}>
          Create a link
        </Button>
      </div>
      <Alert>{linking.error && messageOf(linking.error)}</Alert>
      {link !== undefined && commands !== undefined && (
        <>
          <p role="status" className="text-sm text-muted">
            Each holder of the link can download this version of the dataset
            {link.links !== undefined && ', with its controls and its mask,'} until {momentOf(dateOf(link.expires_at))}.
          </p>
          <p className="text-sm text-muted">Download, check and mount, with curl, tar and sha256sum:</p>
          <CopyLine text={commands.mount} what="the command that mounts without Node" />
          <p className="text-sm text-muted">Or download and unpack, then compare every file with its SHA-256:</p>
          <CopyLine text={commands.unpack} what="the command that unpacks the dataset" />
          <CopyLine text={commands.verify} what="the command that checks the files" />
        </>
      )}
    </div>
  );
}
