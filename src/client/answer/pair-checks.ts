import { LINK_SLOTS } from '../../dataset/pairs/roles.js';
import { listOf, number, object, sha256, size, status, text } from './checks.js';

// Checks of the roles and links in answers, all of which only trainyard sends.

const stems = object({ count: size, stems: listOf(text) });
const linkFields = { dataset_id: text, name: text, role: text, status };
const faults = { missing: stems, extra: stems, ambiguous: stems, misfit: stems, stretched: stems };
const link = object({ ...linkFields, ...faults }, { digest: sha256 });
const manifestLink = object({ dataset_id: text, name: text, revision: number }, { digest: sha256 });

export const links = object({}, Object.fromEntries(LINK_SLOTS.map((slot) => [slot, link])));
export const linkedFrom = listOf(object({ id: text, name: text }));
export const manifestLinks = object({}, Object.fromEntries(LINK_SLOTS.map((slot) => [slot, manifestLink])));
