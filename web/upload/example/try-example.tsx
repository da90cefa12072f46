import { useQueryClient } from '@tanstack/react-query';
import { Sparkles } from 'lucide-react';
import { useLocation } from 'wouter';
import { putDataset, useDatasets } from '../../live/datasets.js';
import { useClient } from '../../session/client.js';
import { useRequesting } from '../../session/dialog-form.js';
import { WriteButton } from '../../session/write-button.js';
import { Alert } from '../../ui/loaded.js';
import { queuedFileOf } from '../add-files/check-files.js';
import { suggestName } from '../add-files/new-datasets.js';
import { uploadQueue } from '../queue/upload-queue.js';

/** A card that makes a dataset of the example, and opens it: what a READY dataset looks like, without files of one's own. */
export function TryExample() {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const { data: datasets } = useDatasets();
  const { failure, isBusy, run } = useRequesting();
  const create = async () => {
    const files = await readExample();
    const isFree = (wanted: string) => datasets?.every(({ name }) => name !== wanted) !== false;
    const dataset = await client.create(suggestName('railway', isFree), { role: 'training' });
    putDataset(queries, dataset);
    uploadQueue.add(dataset, files, { hidden: 0 });
    navigate(`/datasets/${dataset.id}`);
  };
  return (
    <div className="flex flex-col items-start gap-3 rounded-xl border border-line bg-panel p-5">
      <h3 className="font-medium">Try the example</h3>
      <p className="text-sm text-muted">
        Twelve pictures and a clip of a model railway with their captions, 300 kB. They are uploaded and checked as your
        own would be.
      </p>
      <Alert>{failure}</Alert>
      <WriteButton icon={Sparkles} disabled={isBusy} onClick={() => void run(create)} className="mt-auto">
        {isBusy ? 'Creating …' : 'Try the example'}
      </WriteButton>
    </div>
  );
}

/** Loads the files with their names. @throws TypeError if the service can't be reached */
async function readExample() {
  const { EXAMPLE_FILES } = await import('./example-files.js');
  return Promise.all(
    EXAMPLE_FILES.map(async ({ name, url }) => {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`The service has no example: ${name} could not be loaded.`);
      return queuedFileOf(name, new File([await answer.blob()], name));
    }),
  );
}
