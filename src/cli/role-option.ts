import { InvalidArgumentError, Option } from 'commander';
import type { Role } from '../dataset/dataset.js';
import { ROLES } from '../dataset/pairs/roles.js';
import { nearestName } from '../nearest-name.js';

/** The option `--role`. */
export function roleOption(help: string): Option {
  return new Option('--role <role>', help).argParser(parseRole);
}

/** @throws InvalidArgumentError */
export function parseRole(text: string): Role {
  const role = ROLES.find((each) => each === text.toLowerCase());
  if (role !== undefined) return role;
  const near = nearestName(text.toLowerCase(), ROLES, 3);
  const hint = near === undefined ? '' : ` Did you mean ${near}?`;
  throw new InvalidArgumentError(`The roles are ${ROLES.join(', ')}.${hint}`);
}
