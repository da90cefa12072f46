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
export const SLOT_KEYS = { control_1: '1', control_2: '2', control_3: '3', mask: 'M' } as const;

export function viewOf({ slot, views }: ComparisonChoice): ComparisonView {
  return views[slot === 'mask' ? 'mask' : 'control'];
}

export function withView(choice: ComparisonChoice, view: ComparisonView): ComparisonChoice {
  return { ...choice, views: { ...choice.views, [choice.slot === 'mask' ? 'mask' : 'control']: view } };
}

/** The next way to compare; with the target alone, the first of the slots beside it. */
export function withNextView(choice: ComparisonChoice, slots: readonly LinkSlot[]): ComparisonChoice {
  if (choice.slot === undefined) return { ...choice, slot: slots[0] };
  const views = Object.keys(COMPARISON_VIEWS) as ComparisonView[];
  return withView(choice, views[(views.indexOf(viewOf(choice)) + 1) % views.length]!);
}
