import { useEffect, useMemo } from 'react';
import type { Pair } from '../../live/pairs.js';
import { displayText, drafts } from './drafts.js';
import { type TextState, useText } from './texts.js';

/** The caption of a pair: its saved version and its draft. */
export function useCaption(datasetId: string, pair: Pair) {
  const file = pair.caption;
  const filename = file?.filename ?? `${pair.stem}.txt`;
  const name = useMemo(() => ({ datasetId, filename }), [datasetId, filename]);
  const entry = drafts.useEntry(name);
  useEffect(() => drafts.addField(name), [name]);
  const newer = entry?.newer?.replaced.has(file?.sha256) ? entry.newer : undefined;
  const fromFile = useText(datasetId, newer === undefined ? file : undefined);
  const current: TextState =
    newer === undefined && file !== undefined
      ? fromFile.state
      : { state: 'read', text: newer?.saved === undefined ? '' : newer.saved.text };
  const sha256 = newer === undefined ? file?.sha256 : newer.saved?.sha256;
  const text = current.state === 'read' ? current.text : undefined;
  const saved = useMemo(
    () => (sha256 === undefined || text === undefined ? undefined : { sha256, text }),
    [sha256, text],
  );

  const isKnown = current.state === 'read' && newer === undefined;
  // During a save the texts are not compared, so they are compared after it.
  const isSaving = entry?.draft?.state === 'saving';
  useEffect(() => {
    if (isKnown && !isSaving) drafts.compareWithDataset(name, saved);
  }, [name, saved, isKnown, isSaving]);

  const draft = entry?.draft;
  return {
    name,
    /** The version on the service; `undefined` if there is none, or if it is not known yet. */
    saved,
    state: current,
    retry: fromFile.retry,
    draft,
    /** The text in the field. */
    text: draft?.text ?? displayText(saved?.text ?? ''),
    isJustSaved: entry?.isJustSaved === true,
  };
}

export type Caption = ReturnType<typeof useCaption>;
