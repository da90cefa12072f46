import { useState } from 'react';

/** The tags that are pinned to the keys 1 to 9, by key. */
export type TagPins = Readonly<Record<string, string>>;

const keyOf = (datasetId: string) => `trainyard-pins-${datasetId}`;

/** The tags of a dataset that are pinned to keys, which this browser keeps. To pin a tag to its key again takes it off. */
export function useTagPins(datasetId: string) {
  const [pins, setPins] = useState<TagPins>(
    () => JSON.parse(localStorage.getItem(keyOf(datasetId)) ?? '{}') as TagPins,
  );
  const pin = (key: string, tag: string) => {
    const others = Object.entries(pins).filter(([each, pinned]) => each !== key && pinned !== tag);
    const next = Object.fromEntries(pins[key] === tag ? others : [...others, [key, tag]]);
    localStorage.setItem(keyOf(datasetId), JSON.stringify(next));
    setPins(next);
  };
  return { pins, pin };
}
