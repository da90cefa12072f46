import { FolderUp, Plus } from 'lucide-react';
import { commandLine } from '../../src/command-line.js';
import { GuideLink } from '../guide/guide-panel.js';
import { WriteButton } from '../session/write-button.js';
import { CopyLine } from '../ui/copy.js';
import { TryExample } from '../upload/example/try-example.js';

/** Instructions for an account without datasets. */
export function FirstSteps({ onNew }: { onNew: () => void }) {
  return (
    <section aria-labelledby="first-steps" className="mx-auto flex w-full max-w-5xl flex-col gap-6 py-8">
      <div className="flex flex-col items-center gap-3 text-center">
        <FolderUp size={40} className="text-accent" aria-hidden />
        <h2 id="first-steps" className="text-lg font-semibold">
          No datasets yet
        </h2>
        <p className="max-w-prose text-muted">
          A dataset is a flat folder of images or clips, each with its caption in a text file of the same name:{' '}
          <code>dog.jpg</code> and <code>dog.txt</code>. The service checks every file when it is uploaded, before you
          spend a GPU hour on it.
        </p>
        <GuideLink place="datasets">What makes a dataset READY</GuideLink>
      </div>
      <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
        <TryExample />
        <div className="flex flex-col items-start gap-3 rounded-xl border border-line bg-panel p-5">
          <h3 className="font-medium">On this page</h3>
          <p className="text-sm text-muted">
            Drop a folder anywhere on this page, or create a dataset first and add files on its page.
          </p>
          <WriteButton kind="primary" onClick={onNew} className="mt-auto">
            <Plus size={16} aria-hidden /> New dataset
          </WriteButton>
        </div>
        <div className="flex min-w-0 flex-col gap-3 rounded-xl border border-line bg-panel p-5 sm:max-lg:col-span-2">
          <h3 className="font-medium">From a terminal</h3>
          <p className="text-sm text-muted">
            Run these next to your folder, here called photos. Run push again to upload what is missing.
          </p>
          <CopyLine text={commandLine(location.origin, ['login', location.origin])} what="the command that signs in" />
          <CopyLine text={commandLine(location.origin, ['push', 'photos'])} what="the command that uploads a folder" />
        </div>
      </div>
    </section>
  );
}
