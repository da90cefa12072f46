import { type Warning, warningIn } from '../../problems.js';
import type { MaskTraits } from '../inspection.js';

/** The traits of a mask, or why it was not read, as the rest of a sentence that begins with the file's name. */
export type MaskReading = MaskTraits | { readonly unread: string };

/** What is wrong with a mask: one warning, since saving it again solves all of them. */
export function maskWarnings(named: { filename: string; shown: string }, traits: MaskReading): Warning[] {
  const { filename, shown } = named;
  if ('unread' in traits) return [warningIn(filename, 'NOT_FULLY_CHECKED', `${shown} ${traits.unread}.`)];
  if (traits.isBlack) {
    const shape = traits.isTransparent ? ', and its shape is in its transparency, which trainers ignore' : '';
    const effect = 'As a mask it removes its image from the training or has no effect, depending on the settings';
    const advice = 'Paint white what the trainer should learn.';
    return [warningIn(filename, 'BLACK_MASK', `${shown} is black${shape}. ${effect}. ${advice}`)];
  }
  const reasons = reasonsAgainst(traits);
  if (reasons.length === 0) return [];
  const advice =
    'Save it as 8-bit grayscale without transparency: white where the trainer should learn, black elsewhere.';
  return [warningIn(filename, 'MASK_NOT_GRAYSCALE', `${shown} ${reasons.join(', and ')}. ${advice}`)];
}

/** Each the rest of a sentence that begins with the file's name. */
function reasonsAgainst({ isColoured, isTransparent, isCutOff, isCmyk }: MaskTraits): string[] {
  const reasons: string[] = [];
  if (isCmyk) reasons.push('has the colours of print (CMYK), which trainers may turn into another brightness');
  // diffusion-pipe (`models/base.py`) and sd-scripts (`library/custom_train_functions.py`) take the first channel.
  if (isColoured) reasons.push('has colours, of which some trainers take the brightness and others the red alone');
  if (isTransparent) reasons.push('is transparent in places, which trainers ignore');
  if (isCutOff) reasons.push('has greys of 16 bits, which trainers read as white');
  return reasons;
}
