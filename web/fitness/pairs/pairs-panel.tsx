import { Link } from 'wouter';
import type { DatasetWithFiles, Link as PairLink } from '../../../src/client/client.js';
import { LINK_SLOTS, roleOfSlot } from '../../../src/dataset/pairs/roles.js';
import { useDataset } from '../../live/dataset.js';
import { slotWord } from '../../live/slot-words.js';
import { useCanWrite } from '../../session/account.js';
import { capitalized } from '../../ui/format.js';
import { Panel } from '../../ui/panel.js';
import { StatusBadge } from '../../ui/status-badge.js';
import { AddButton } from '../../upload/add-files/add-buttons.js';
import { addFiles } from '../../upload/add-files/add-files.js';
import { DropPlace } from '../../upload/add-files/drop-place.js';
import { FindingGroup } from '../finding-group.js';
import { FilesOfStems, type LinkedFiles, MissingList } from './pair-lists.js';

/** The controls and the mask of a training dataset, or the training datasets that use a control or mask dataset. */
export function PairsPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const { role, links = {} } = dataset;
  if (role !== 'training') return <UsedByPanel dataset={dataset} />;
  const slots = LINK_SLOTS.filter((slot) => links[slot] !== undefined);
  if (slots.length === 0) return null;
  return (
    <Panel title="Controls and masks">
      {slots.map((slot) => (
        <LinkSection key={slot} dataset={dataset} link={{ ...links[slot]!, slot }} word={slotWord(slot, slots)} />
      ))}
    </Panel>
  );
}

/** The service lists no more. */
const MAX_LINKED_FROM = 100;

function UsedByPanel({ dataset: { role, linked_from = [] } }: { dataset: DatasetWithFiles }) {
  return (
    <Panel title="Used by">
      {linked_from.length === 0 && (
        <p className="max-w-prose text-sm">
          No training dataset uses these {role}s yet. Open the training dataset and link this one to it.
        </p>
      )}
      <ul aria-label="Training datasets" className="flex flex-wrap gap-x-4 gap-y-1 text-sm empty:hidden">
        {linked_from.map(({ id, name }) => (
          <li key={id}>
            <Link href={`/datasets/${id}/fitness`} className="text-link wrap-anywhere">
              {name}
            </Link>
          </li>
        ))}
      </ul>
      {linked_from.length >= MAX_LINKED_FROM && (
        <p className="text-sm text-muted">The first {MAX_LINKED_FROM} by name are listed.</p>
      )}
    </Panel>
  );
}

/** A control or the mask of a training dataset: its status, and what is wrong with the pairs. */
function LinkSection(props: Omit<LinkedFiles, 'files'>) {
  const { link, word } = props;
  const canWrite = useCanWrite();
  const { data: linked } = useDataset(link.dataset_id);
  const { slot, dataset_id: id, name, status, missing } = link;
  const canAdd = canWrite && missing.count > 0;
  const findings = findingsOf({ ...props, files: linked?.files ?? [] }, canWrite);
  const content = (
    <>
      <div className="flex flex-wrap items-center gap-3">
        <h3 className="text-sm font-medium wrap-anywhere">
          {capitalized(word)}:{' '}
          <Link href={`/datasets/${id}/fitness`} className="text-link">
            {name}
          </Link>
        </h3>
        <StatusBadge status={status} />
        {canAdd && (
          <span className="ml-auto">
            <AddButton datasetId={id} label={`Add files to ${name}`} />
          </span>
        )}
      </div>
      <StatusText noun={roleOfSlot(slot)} link={link} />
      {findings.map(({ list, ...finding }) =>
        finding.count === 0 ? null : (
          <FindingGroup key={finding.title} {...finding}>
            {list}
          </FindingGroup>
        ),
      )}
    </>
  );
  const layout = 'flex flex-col gap-2 rounded-lg';
  if (!canAdd) return <div className={layout}>{content}</div>;
  return (
    <DropPlace onFiles={(files) => addFiles(files, id)} className={layout}>
      {content}
    </DropPlace>
  );
}

function findingsOf(linked: LinkedFiles, canWrite: boolean) {
  const { dataset, link, word } = linked;
  const { slot, name, missing, ambiguous, misfit, stretched, extra } = link;
  const noun = roleOfSlot(slot);
  const ofMasks = slot === 'mask';
  return [
    {
      count: missing.count,
      title: `Missing ${noun}s`,
      areErrors: true,
      advice: canWrite
        ? `Drop each file in its place; it gets the name of its target. Or drop files that have the names of their targets anywhere in this part: they are added to ${name}.`
        : `The trainer stops, or trains without the ${noun}.`,
      list: <MissingList {...linked} />,
    },
    {
      count: ambiguous.count,
      title: `Several ${noun}s of one name`,
      areErrors: true,
      advice: 'The trainer takes one of them and ignores the others. Delete or rename all but one.',
      list: <FilesOfStems {...linked} of={ambiguous} label={`Several files for one ${word}`} />,
    },
    {
      count: misfit.count,
      title: "Sizes that don't fit",
      areErrors: true,
      advice: ofMasks
        ? 'The trainer stops, or counts the wrong region. Replace each mask with one of the shape of its target.'
        : 'The trainer stops at controls that are too small or too narrow. Replace each with a larger one.',
      list: <FilesOfStems {...linked} withTargets of={misfit} label={`Sizes of the ${word} that don't fit`} />,
    },
    {
      count: stretched.count,
      title: 'Other aspect ratios',
      advice: ofMasks
        ? 'The trainer stretches each mask over its target, so that another region counts.'
        : 'Some models stretch each control to its target, others do not.',
      list: <FilesOfStems {...linked} withTargets of={stretched} label={`Other aspect ratios of the ${word}`} />,
    },
    {
      count: extra.count,
      title: `${capitalized(noun)}s without a target`,
      advice: `The trainer ignores them. Add the targets to ${dataset.name}, or delete them from ${name}.`,
      list: <FilesOfStems {...linked} of={extra} label={`Files for the ${word} without a target`} />,
    },
  ];
}

/** What the status of the linked dataset means for the pairs, or that there is nothing to repair. */
function StatusText({ noun, link }: { noun: string; link: PairLink }) {
  const { dataset_id: id, name, status, missing, ambiguous, misfit } = link;
  const hasErrors = missing.count + ambiguous.count + misfit.count > 0;
  const text = {
    READY: hasErrors ? '' : `Each target has its ${noun}.`,
    UPLOADING: `${name} is not complete yet.`,
    FAILED: `${name} is not fit to train with.`,
    DRAFT: `${name} has no images yet.`,
  }[status];
  if (text === '') return null;
  return (
    <p className="text-sm text-muted">
      {text}{' '}
      {status === 'FAILED' && (
        <Link href={`/datasets/${id}/fitness`} className="text-link">
          Show what is wrong with it
        </Link>
      )}
    </p>
  );
}
