import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { flushSync } from 'react-dom';
import { useLocation, useRoute } from 'wouter';
import { useReadPairs } from './captions/read-pairs.js';
import { useTerms } from './captions/terms/use-terms.js';
import { GUIDE_PAGES } from './guide/guide-pages.js';
import { KEY_TABLE, type KeyName, keyText, runVerb } from './keys.js';
import { datasetQuery } from './live/dataset.js';
import { useDatasets } from './live/datasets.js';
import { pairsOf } from './live/pairs.js';
import { useClient } from './session/client.js';
import { type Choice, type ChoiceGroup, Chooser } from './ui/chooser.js';
import { Dialog } from './ui/dialog.js';
import { countOf } from './ui/format.js';

const PAGES = [
  ['/', 'Datasets'],
  ['/account', 'Account'],
  ['/docs', 'API documentation'],
  ...GUIDE_PAGES.map(({ name, title }) => [`/guide/${name}`, `Guide: ${title}`] as const),
] as const;

const DATASETS_AT_FIRST = 8;
const PAGES_AT_FIRST = 3;

/** The verbs, datasets, tags, files and pages that the palette offers. */
export function PaletteDialog({ verbs, onClose }: { verbs: readonly KeyName[]; onClose: () => void }) {
  const [, navigate] = useLocation();
  const [, parameters] = useRoute('/datasets/:id/:view?');
  const { data: datasets } = useDatasets();
  const known = useTagsAndFiles(parameters?.id);
  const groups = useMemo<readonly ChoiceGroup[]>(() => {
    /** The dialog is closed first: it would keep the focus. */
    const closing = (act: () => void) => () => {
      flushSync(onClose);
      act();
    };
    const link = (key: string, label: string, href: string, detail?: string): Choice => ({
      ...{ key, label, ...(detail !== undefined && { detail }) },
      choose: closing(() => (href === '/docs' ? location.assign(href) : navigate(href))),
    });
    const inDataset = (query: Record<string, string>) =>
      `/datasets/${parameters?.id ?? ''}?${new URLSearchParams(query)}`;
    return [
      {
        title: 'Here',
        choices: verbs.map((name) => ({
          ...{ key: `verb-${name}`, label: KEY_TABLE[name].does, detail: keyText(KEY_TABLE[name].keys[0] ?? '') },
          choose: closing(() => runVerb(name)),
        })),
      },
      {
        title: 'Datasets',
        choices: (datasets ?? []).map(({ id, name }) => link(`dataset-${id}`, name, `/datasets/${id}`)),
        shownAtFirst: DATASETS_AT_FIRST,
      },
      {
        title: 'Tags',
        choices: known.tags.map(({ term, captions }) =>
          link(`tag-${term}`, term, inDataset({ tag: term }), countOf(captions.length, 'caption')),
        ),
        shownAtFirst: 0,
      },
      {
        title: 'Files',
        choices: known.files.map(({ filename }) => link(`file-${filename}`, filename, inDataset({ file: filename }))),
        shownAtFirst: 0,
      },
      {
        title: 'Pages',
        choices: PAGES.map(([href, label]) => link(`page-${href}`, label, href)),
        shownAtFirst: PAGES_AT_FIRST,
      },
    ];
  }, [verbs, datasets, known, parameters?.id, navigate, onClose]);
  return (
    <Dialog title="Go to, or do" onClose={onClose} close={{ children: 'Close' }}>
      <Chooser
        label="Name"
        placeholder={parameters === null ? 'A dataset or a page' : 'A verb, dataset, tag, file or page'}
        groups={groups}
      />
    </Dialog>
  );
}

/** The tags of a dataset, the frequent ones first, and its files; none without an id. */
function useTagsAndFiles(id: string | undefined) {
  const query = datasetQuery(useClient(), useQueryClient(), id ?? '');
  const { data: dataset } = useQuery({ ...query, enabled: id !== undefined });
  const pairs = useMemo(() => dataset && pairsOf(dataset), [dataset]);
  const read = useReadPairs(id ?? '', dataset?.role === 'training' ? pairs : undefined);
  const counts = useTerms(read.pairs, 'tag');
  return useMemo(
    () => ({
      tags: (counts?.terms ?? []).toReversed(),
      files: (pairs ?? []).flatMap(({ media, files }) => (media.length > 0 ? media : files)),
    }),
    [counts, pairs],
  );
}
