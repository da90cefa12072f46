import type { DatasetWithFiles } from '../../../src/client/client.js';
import { LINK_SLOTS } from '../../../src/dataset/pairs/roles.js';
import { slotWord } from '../../live/slot-words.js';
import { Panel } from '../../ui/panel.js';
import { LinkSection } from './link-section.js';
import { UsedByPanel } from './used-by-panel.js';

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
