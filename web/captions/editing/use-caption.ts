import { useEffect, useMemo, useSyncExternalStore } from 'react';
import type { Pair } from '../../live/pairs.js';
import { useClient } from '../../session/client.js';
import { type CaptionName, type Draft, drafts } from './drafts.js';
import { type SavedCaption, displayText } from './save-caption.js';
import { type TextState, useText } from './texts.js';

export interface Caption {
  readonly name: CaptionName;
  /** As the service has it, where that is known; `undefined` also where there is none. */
  readonly saved: SavedCaption | undefined;
  readonly reading: TextState;
  readonly retry: () => void;
  readonly draft: Draft | undefined;
  /** What the field shows. */
  readonly text: string;
  readonly isJustSaved: boolean;
}

const NO_TEXT: TextState = { state: 'read', text: '' };

/** The caption of a pair: what is saved of it, and what a person has made of that. */
export function useCaption(datasetId: string, pair: Pair): Caption {
  const client = useClient();
  const file = pair.caption;
  const filename = file?.filename ?? `${pair.stem}.txt`;
  const { name, subscribe } = useMemo(() => {
    const name = { datasetId, filename };
    return { name, subscribe: (listener: () => void) => drafts.subscribe(name, listener) };
  }, [datasetId, filename]);
  const slot = useSyncExternalStore(subscribe, () => drafts.slot(name));
  // Where we have saved since, what the dataset tells is of yesterday.
  const ahead = slot?.newer?.replaced.has(file?.sha256) ? slot.newer : undefined;
  const fromFile = useText(datasetId, ahead === undefined ? file : undefined);
  const reading = useMemo<TextState>(
    () => (ahead?.saved !== undefined ? { state: 'read', text: ahead.saved.text } : NO_TEXT),
    [ahead],
  );
  const current = ahead === undefined && file !== undefined ? fromFile.reading : reading;
  const sha256 = ahead === undefined ? file?.sha256 : ahead.saved?.sha256;
  const text = current.state === 'read' ? current.text : undefined;
  const saved = useMemo(
    () => (sha256 === undefined || text === undefined ? undefined : { sha256, text }),
    [sha256, text],
  );

  useEffect(() => drafts.use(client), [client]);
  const isKnown = current.state === 'read' && ahead === undefined;
  useEffect(() => {
    if (isKnown) drafts.compareWithDataset(name, saved);
  }, [name, saved, isKnown]);
  // Gone out of sight is left, too.
  useEffect(() => () => drafts.save(name), [name]);

  const draft = slot?.draft;
  return {
    name,
    saved,
    reading: current,
    retry: fromFile.retry,
    draft,
    text: draft?.text ?? displayText(saved?.text ?? ''),
    isJustSaved: slot?.isJustSaved === true,
  };
}
