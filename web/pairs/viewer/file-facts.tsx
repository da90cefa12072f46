import { Download } from 'lucide-react';
import type { DatasetFile } from '../../../src/client/client.js';
import { useLinks } from '../../live/dataset.js';
import { dateOf, momentOf } from '../../ui/ago.js';
import { CopyButton } from '../../ui/copy.js';
import { numberOf, sizeOf } from '../../ui/format.js';
import { formatOf } from '../media.js';
import { mediaFactsOf, soundOf } from '../media-facts.js';

export function DownloadLink({ datasetId, file }: { datasetId: string; file: DatasetFile }) {
  const links = useLinks(datasetId);
  return (
    <a
      href={links?.file(file, { download: true })}
      download
      aria-label={`Download ${file.filename}`}
      title={`Download ${file.filename}`}
      className="inline-flex size-9 touch items-center justify-center rounded-lg hover:bg-raised"
    >
      <Download size={18} aria-hidden />
    </a>
  );
}

export function FileFacts({ file }: { file: DatasetFile }) {
  const rows = {
    Type: formatOf(file) + (file.codec === undefined ? '' : ` (${file.codec})`),
    Dimensions: mediaFactsOf(file),
    Frames: file.frames === undefined ? '' : numberOf(file.frames),
    Sound: soundOf(file),
    Size: sizeOf(file.size_bytes),
    Uploaded: momentOf(dateOf(file.uploaded_at)),
  };
  return (
    <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-1 text-sm">
      {Object.entries(rows).map(
        ([name, value]) =>
          value !== '' && (
            <div key={name} className="contents">
              <dt className="text-muted">{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
      <dt className="text-muted">SHA-256</dt>
      <dd className="flex items-center font-mono" title={file.sha256}>
        {file.sha256.slice(0, 12)}… <CopyButton text={file.sha256} what="the SHA-256" />
      </dd>
    </dl>
  );
}
