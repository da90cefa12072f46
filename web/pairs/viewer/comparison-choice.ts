import type { LinkSlot } from '../../../src/dataset/dataset.js';

/** How two pictures are compared, with the labels. */
export const COMPARISON_VIEWS = { beside: 'Side by side', slider: 'Slider', overlay: 'Overlay' } as const;
export type ComparisonView = keyof typeof COMPARISON_VIEWS;

/** What the viewer shows. It stays the same from pair to pair. */
export interface ComparisonChoice {
  /** The control or mask that the target is compared with; `undefined`: the target alone. */
  readonly slot: LinkSlot | undefined;
  readonly views: Readonly<Record<'control' | 'mask', ComparisonView>>;
  /** The part of the width that shows the target, in percent. */
  readonly dividerPercent: number;
  readonly opacityPercent: number;
}

export const TARGET_ALONE: ComparisonChoice = {
  slot: undefined,
  views: { control: 'beside', mask: 'overlay' },
  dividerPercent: 50,
  opacityPercent: 50,
};

/** The key that shows each control or mask. */
export const SLOT_KEYS = { control_1: '1', control_2: '2', control_3: '3', mask: 'm' } as const;
export const TARGET_KEY = '0';
export const VIEW_KEY = 'v';

export function viewOf({ slot, views }: ComparisonChoice): ComparisonView {
  return views[slot === 'mask' ? 'mask' : 'control'];
}

export function withView(choice: ComparisonChoice, view: ComparisonView): ComparisonChoice {
  return { ...choice, views: { ...choice.views, [choice.slot === 'mask' ? 'mask' : 'control']: view } };
}

/** The choice after a key, `undefined` for a key without a meaning here. */
export function choiceAfterKey(
  key: string,
  choice: ComparisonChoice,
  slots: readonly LinkSlot[],
): ComparisonChoice | undefined {
  if (slots.length === 0) return undefined;
  const pressed = key.toLowerCase();
  if (pressed === TARGET_KEY) return { ...choice, slot: undefined };
  if (pressed === VIEW_KEY) {
    if (choice.slot === undefined) return { ...choice, slot: slots[0] };
    const views = Object.keys(COMPARISON_VIEWS) as ComparisonView[];
    return withView(choice, views[(views.indexOf(viewOf(choice)) + 1) % views.length]!);
  }
  const slot = slots.find((each) => SLOT_KEYS[each] === pressed);
  return slot && { ...choice, slot };
}
