import { Download } from 'lucide-react';
import { useState } from 'react';
import type { DatasetFile, DatasetWithFiles } from '../../src/client/client.js';
import { useLinks } from '../live/dataset.js';
import { useClient } from '../session/client.js';
import { Button } from '../ui/button.js';
import { countOf, messageOf } from '../ui/format.js';
import { Menu, MENU_LINK } from '../ui/menu.js';

/** The downloads of a whole dataset. */
export function DownloadMenu({ dataset: { id, files } }: { dataset: DatasetWithFiles }) {
  const links = useLinks(id);
  if (links === undefined || files.length === 0) return null;
  const downloads = {
    'All files': links.zip(),
    'In kohya folders, with repeats': links.zip({ as: 'kohya' }),
    'With metadata.jsonl': links.zip({ as: 'metadata' }),
    'Only captions, zip': links.zip({ as: 'captions' }),
    'Only captions, csv': links.captions(),
  };
  return (
    <Menu label="Download">
      {Object.entries(downloads).map(([label, href]) => (
        <a key={label} href={href} download className={MENU_LINK}>
          {label}
        </a>
      ))}
    </Menu>
  );
}

/** Saves selected files as a zip archive. A link could not name them all. */
export function DownloadSelection({ datasetId, files }: { datasetId: string; files: readonly DatasetFile[] }) {
  const client = useClient();
  const [state, setState] = useState<'idle' | 'busy' | { readonly error: string }>('idle');
  const save = async () => {
    setState('busy');
    try {
      const names = files.map(({ filename }) => filename);
      const archive = await client.exports.selection(datasetId, names);
      const url = URL.createObjectURL(await archive.blob());
      Object.assign(document.createElement('a'), { href: url, download: 'selection.zip' }).click();
      setTimeout(() => URL.revokeObjectURL(url));
      setState('idle');
    } catch (error) {
      setState({ error: messageOf(error) });
    }
  };
  return (
    <>
      <Button
        disabled={state === 'busy'}
        title={`Download ${countOf(files.length, 'file')} as a zip archive`}
        onClick={save}
      >
        <Download size={16} aria-hidden /> {state === 'busy' ? 'Downloading …' : 'Download'}
      </Button>
      {typeof state === 'object' && (
        <p role="alert" className="w-full text-bad wrap-anywhere">
          The selection could not be downloaded: {state.error}
        </p>
      )}
    </>
  );
}
